// The audit of a node in a ClickHouse server.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, realpathSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startDaemon } from '../../node/index.js'
import { App } from '../support/app.js'
import { auditSettings, daemonSettings, silentLogger } from '../support/daemon-settings.js'
import { testLevel } from '../support/level.js'
import { until } from '../support/store.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const found = spawnSync('sh', ['-c', 'command -v clickhouse-server'], { encoding: 'utf8' }).stdout.trim()
const reason = found === '' ? 'clickhouse-server is not installed' : undefined
const skip = reason ?? (testLevel() === 'quick' ? 'needs a MILLRACE_TEST_LEVEL other than quick' : false)

/** What the guide tells to make. */
const TABLE =
  'CREATE TABLE millrace_audit (node String, id String, at UInt64, record String) ENGINE = MergeTree ORDER BY (node, at)'

t.setTimeout(180_000)

t.test('records of the audit come to ClickHouse, also those that waited while it was down', { skip }, async (t) => {
  const directory = temporaryDirectory(t)
  const port = await freePort()
  const url = `http://127.0.0.1:${String(port)}`
  const ask = async (query: string): Promise<string> => {
    const answer = await fetch(url, { method: 'POST', body: query })
    const text = await answer.text()
    if (!answer.ok) throw new Error(text)
    return text
  }
  const records = async (): Promise<any[]> => {
    const text = await ask('SELECT node, id, at, record FROM millrace_audit ORDER BY at FORMAT JSONEachRow')
    return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]))
  }
  configure(directory, port)
  const stop = await startServer(t, directory, ask)
  await ask(TABLE)

  const data = temporaryDirectory(t)
  const clickhouse = { url, table: 'default.millrace_audit', user: 'default', passwordFile: undefined }
  const audit = auditSettings(data, { sink: 'clickhouse', clickhouse, redact: [['**', 'value']] })
  const settings = daemonSettings(data, { audit })
  const daemon = await startDaemon({ settings, logger: silentLogger, version: '0.1.0' })
  t.teardown(() => daemon.close())
  const app = await App.at(daemon.addresses.api[0] ?? '')
  const put = async (key: string): Promise<void> => {
    const reply = await app.call(`/api/millrace/v1/state/kv/${key}`, { method: 'PUT', body: '{"pin":1}' })
    t.equal(reply.status, 200)
  }
  const metrics = async (): Promise<string> => (await app.call('/metrics')).text

  await put('k/1')
  await until(async () => (await records()).length === 1)
  const [first] = await records()
  t.match(first, { node: daemon.addresses.nodeId, id: String })
  t.match(JSON.parse(first.record), {
    type: 'operation',
    id: first.id,
    app: 'com.example.test',
    operation: { then: [{ op: 'set', key: 'com.example.test/k/1', value: '[redacted]' }] },
    outcome: { succeeded: true },
  })
  await stop()
  await put('k/2')
  await put('k/3')
  await until(async () => /^millrace_audit_up 0$/m.test(await metrics()))
  await startServer(t, directory, ask)
  // A batch whose answer was lost would be sent again; nothing was lost here.
  await until(async () => (await records()).length === 3)
  t.same(
    (await records()).map(({ record }) => JSON.parse(record).operation.then[0].key),
    ['k/1', 'k/2', 'k/3'].map((key) => `com.example.test/${key}`),
  )
  await until(async () => /^millrace_audit_up 1$/m.test(await metrics()))
})

/** @returns how to stop it */
async function startServer(
  t: Test,
  directory: string,
  ask: (query: string) => Promise<string>,
): Promise<() => Promise<void>> {
  const child = spawn(found, [`--config-file=${join(directory, 'config.xml')}`], {
    stdio: 'ignore',
    env: { ...process.env, LD_LIBRARY_PATH: libraries() },
  })
  const ended = once(child, 'exit')
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
  }
  t.teardown(stop)
  let isOver = false
  void ended.then(() => (isOver = true))
  const answers = (): Promise<boolean> =>
    ask('SELECT 1').then(
      () => true,
      () => false,
    )
  // As long as the whole test may take.
  const hasEnded = (): boolean => isOver
  while (!hasEnded() && !(await answers())) await delay(20)
  if (hasEnded()) throw new Error(`clickhouse-server ended at once with ${String(child.exitCode)}`)
  return stop
}

/** Where a package that was only unpacked has its libraries. */
function libraries(): string {
  const usr = dirname(dirname(realpathSync(found)))
  const roots = [join(usr, 'lib'), join(dirname(usr), 'lib')]
  const folders = roots.flatMap((root) => {
    try {
      return readdirSync(root)
        .filter((name) => name.endsWith('-linux-gnu'))
        .map((name) => join(root, name))
    } catch {
      return []
    }
  })
  return folders.join(':')
}

function configure(directory: string, port: number): void {
  mkdirSync(join(directory, 'data'))
  const data = join(directory, 'data')
  writeFileSync(
    join(directory, 'config.xml'),
    `<yandex><logger><level>none</level></logger><http_port>${String(port)}</http_port><listen_host>127.0.0.1</listen_host>
<path>${data}/</path><tmp_path>${data}/tmp/</tmp_path><mark_cache_size>5368709</mark_cache_size>
<users_config>${directory}/users.xml</users_config><default_profile>default</default_profile>
<default_database>default</default_database></yandex>`,
  )
  writeFileSync(
    join(directory, 'users.xml'),
    `<yandex><profiles><default></default></profiles><quotas><default></default></quotas><users><default><password></password>
<networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default></users></yandex>`,
  )
}

/** Taken again by the same server when it starts anew, so the system must not choose. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
