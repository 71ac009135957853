import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { Client } from '../../client/index.js'
import { nodeTransport } from '../../client/node.js'
import { startDaemon, type Daemon } from '../../node/index.js'
import { createNetworkKey } from '../../replication/index.js'
import { ApiClient } from '../support/api-client.js'
import { DaemonProcess } from '../support/daemon.js'
import { daemonSettings, silentLogger } from '../support/daemon-settings.js'
import { plainNode } from '../support/plain-node.js'
import { runMillrace } from '../support/run-millrace.js'
import { until } from '../support/store.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

t.setTimeout(300_000)

const main = fileURLToPath(new URL('../../cli/main.js', import.meta.url))
const config = 'storage: { block: { maxEvents: 50 } }\n'

const millrace = (...argv: readonly string[]) => runMillrace(argv)

const result = ({ out }: { readonly out: string }): any => JSON.parse(out).result

/** Payloads of all events, in order. */
async function payloads(data: string): Promise<unknown[]> {
  const { out } = await millrace('query', '-j', '-d', data, 'FROM allEvents')
  return out
    .split('\n')
    .filter((line) => line.includes('"type":"event"'))
    .map((line) => (JSON.parse(line) as { payload: unknown }).payload)
}

async function startNode(t: Test, data: string): Promise<Daemon> {
  const daemon = await startDaemon({ settings: daemonSettings(data), logger: silentLogger, version: '0' })
  t.teardown(() => daemon.close())
  return daemon
}

/** Starts the command in a process of its own and kills it as soon as a file is there. */
async function killedWhen(path: string, ...argv: readonly string[]): Promise<void> {
  const child = spawn(...plainNode([main, ...argv]), { stdio: 'ignore' })
  const ended = once(child, 'exit')
  while (!existsSync(path) && child.exitCode === null) await new Promise((resolve) => setImmediate(resolve))
  child.kill('SIGKILL')
  await ended
}

const filesOf = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))

function flip(file: string, at = Math.floor(statSync(file).size / 2)): () => void {
  const bytes = readFileSync(file)
  const original = Buffer.from(bytes)
  bytes[at]! ^= 1
  writeFileSync(file, bytes)
  return () => {
    writeFileSync(file, original)
  }
}

t.test('a backup of a node that publishes is what it was at one moment, and a node can be made of it', async (t) => {
  const daemon = await DaemonProcess.start({ config })
  t.teardown(() => daemon.close())
  const folder = temporaryDirectory(t)
  let acknowledged = 0
  const done = new AbortController()
  const publishing = (async () => {
    const api = await ApiClient.open(daemon.port)
    while (!done.signal.aborted) {
      const payload = String(acknowledged)
      await api.publish([
        { tags: ['a'], payload },
        { tags: ['a'], payload },
      ])
      acknowledged++
    }
    api.close()
  })()
  await until(() => acknowledged > 200)
  for (const name of ['one', 'two.tar']) {
    const before = acknowledged
    const target = join(folder, name)
    const made = await millrace('backup', '-j', '-s', daemon.socket, target)
    t.equal(made.code, 0, made.out)
    t.comment(`writes waited for ${String(result(made).pauseMs)} ms`)
    const after = acknowledged
    t.match(await millrace('verify', target), { code: 0, out: /each as it was written/ })
    const data = join(folder, `${name}-restored`)
    const restored = await millrace('restore', '-j', '--yes', target, '-d', data)
    t.equal(restored.code, 0, restored.out)
    const node = await startNode(t, data)
    const held = await payloads(data)
    // A whole number of commits, all acknowledged ones, none twice.
    const commits = held.length / 2
    t.ok(commits >= before && commits <= after + 1, `${String(before)} ≤ ${String(commits)} ≤ ${String(after)} + 1`)
    t.same(
      held,
      [...Array(commits).keys()].flatMap((at) => [at, at]),
    )
    t.match(await millrace('verify', '-d', data), { code: 0, out: /all is whole/ })
    const published = result(await millrace('publish', '-j', '-d', data, '-t', 'b', '"new"'))
    t.match(
      published.stream,
      new RegExp(`^${daemon.ready.nodeId.replaceAll(/[+/]/g, '.')}-[0-9]{9,}$`),
      'a stream of a new epoch',
    )
    t.equal(published.offset, 0)
    await node.close()
    if (name !== 'one') continue
    const refused = await millrace('restore', '--yes', target, '-d', data)
    t.match(refused, { code: 73, err: /not empty/ }, 'nothing is overwritten')
    t.match(await millrace('backup', '-s', daemon.socket, target), { code: 73, err: /not empty/ })
  }
  done.abort()
  await publishing
  t.notOk(existsSync(join(daemon.data, 'snapshot')), 'nothing is left in the data directory')
})

t.test('flipped bits, lost files and parts of a backup are refused, with the place', async (t) => {
  const folder = temporaryDirectory(t)
  const [data, whole, archive] = [join(folder, 'data'), join(folder, 'whole'), join(folder, 'whole.tar')]
  const node = await startNode(t, data)
  for (let at = 0; at < 5; at++) await millrace('publish', '-d', data, '-t', 'a', JSON.stringify('x'.repeat(3000)))
  await node.close()
  t.match(await millrace('backup', '-d', data, whole), { code: 0 }, 'of a node that does not run')
  t.match(await millrace('backup', '-d', data, archive), { code: 0 })
  const refusedEverywhere = async (backup: string, place: RegExp, name: string) => {
    t.match(await millrace('verify', backup), { code: 65, err: place }, `verify: ${name}`)
    const target = join(folder, 'never')
    t.match(await millrace('restore', '--yes', backup, '-d', target), { code: 65, err: place }, `restore: ${name}`)
    t.same(readdirSync(target), [], 'the directory is as empty as before')
  }
  for (const file of filesOf(whole).filter((file) => statSync(file).size > 0)) {
    const mend = flip(file)
    const name = file.slice(whole.length + 1)
    await refusedEverywhere(whole, new RegExp(name.replaceAll(/[.+]/g, '.')), name)
    mend()
  }
  renameSync(join(whole, 't0', 'head'), join(folder, 'head'))
  await refusedEverywhere(whole, /t0\/head/, 'a lost file')
  renameSync(join(folder, 'head'), join(whole, 't0', 'head'))
  renameSync(join(whole, 'manifest.json'), join(folder, 'manifest.json'))
  await refusedEverywhere(whole, /only a part/, 'no manifest')
  renameSync(join(folder, 'manifest.json'), join(whole, 'manifest.json'))
  const mend = flip(archive)
  await refusedEverywhere(archive, /damaged/, 'a flipped bit in an archive')
  mend()
  t.match(await runMillrace(['verify', archive], { isTerminal: true }), { code: 0, err: /B checked/ }, 'with progress')
  truncateSync(archive, statSync(archive).size - 4096)
  await refusedEverywhere(archive, /part of one|ends too early/, 'a cut archive')
  await refusedEverywhere(join(folder, 'nothing'), /no backup|none/, 'nothing at all')

  const mute = join(folder, 'mute')
  t.match(await millrace('backup', '--without-identity', '-d', data, mute), { code: 0 })
  t.notOk(existsSync(join(mute, 'keys')), 'no keys')
  const target = join(folder, 'restored')
  t.match(await millrace('restore', mute, '-d', target), { code: 2, err: /must be off/ }, 'nobody to ask')
  t.match(await millrace('restore', '--yes', mute, '-d', target), { code: 65, err: /--identity/ })
  const other = await startNode(t, join(folder, 'other'))
  await other.close()
  const foreign = join(folder, 'other', 'identity.key')
  t.match(await millrace('restore', '--yes', mute, '-d', target, '--identity', foreign), {
    code: 73,
    err: /belongs to node/,
  })
  const own = join(data, 'identity.key')
  t.match(await millrace('restore', '--yes', mute, '-d', target, '--identity', own), { code: 0 })
  await startNode(t, target)
  t.equal((await payloads(target)).length, 5)
})

t.test('whatever kills a backup or a restore, a part is never taken for the whole', async (t) => {
  const daemon = await DaemonProcess.start({ config })
  t.teardown(() => daemon.close())
  const folder = temporaryDirectory(t)
  const api = await ApiClient.open(daemon.port)
  for (let at = 0; at < 20; at++) {
    await api.publish([{ tags: ['a'], payload: JSON.stringify(randomBytes(100_000).toString('base64')) }])
  }
  api.close()

  // The node dies while somebody reads a backup slowly.
  const reader = request({ socketPath: daemon.socket, method: 'POST', path: '/api/millrace/v1/backup' })
  reader.on('error', () => undefined).end()
  await once(reader, 'response')
  t.ok(existsSync(join(daemon.data, 'snapshot')), 'the files stand still')
  const second = await millrace('backup', '-s', daemon.socket, join(folder, 'second'))
  t.match(second, { code: 1, err: /under way/ })
  await daemon.kill()
  await daemon.startAgain()
  t.notOk(existsSync(join(daemon.data, 'snapshot')), 'what it left is gone')

  // The command dies while it writes.
  const target = join(folder, 'target')
  await killedWhen(join(folder, 'target.partial'), 'backup', '-s', daemon.socket, target)
  t.notOk(existsSync(target))
  t.match(await millrace('verify', join(folder, 'target.partial')), { code: 65 })
  await until(async () => (await millrace('backup', '-s', daemon.socket, target)).code === 0)
  t.notOk(existsSync(join(folder, 'target.partial')))
  t.match(await millrace('verify', target), { code: 0 })

  const data = join(folder, 'data')
  const cannotStart = async (when: string) => {
    const started = startDaemon({ settings: daemonSettings(data), logger: silentLogger, version: '0' })
    await t.rejects(started, { code: 'ERR_DATA_DIRECTORY', message: /restore/ }, when)
  }
  for (const step of ['restoring', 'restoring/files/t0/meta', 'restoring/new', 'restoring/new/lock']) {
    await killedWhen(join(data, step), 'restore', '--yes', target, '-d', data)
    if (existsSync(join(data, 'restoring'))) await cannotStart(step)
    // On a busy machine the kill may come when all is done.
    else rmSync(data, { recursive: true, force: true })
  }
  t.match(await millrace('restore', '--yes', target, '-d', data), { code: 0 }, 'another attempt begins anew')
  // As a kill between two renames leaves it.
  mkdirSync(join(data, 'restoring', 'new'), { recursive: true })
  renameSync(join(data, 'topics.json'), join(data, 'restoring', 'new', 'topics.json'))
  await cannotStart('half in place')
  writeFileSync(join(data, 'mine'), 'x')
  t.match(
    await millrace('restore', '--yes', target, '-d', data),
    { code: 73, err: /not empty/ },
    'what is not ours stays',
  )
  renameSync(join(data, 'mine'), join(folder, 'mine'))
  t.match(await millrace('restore', '--yes', target, '-d', data), { code: 0 })
  await startNode(t, data)
  t.equal((await payloads(data)).length, 20)
})

t.test('a restored node goes on beside its old peers without a fork, and gets back what it had lost', async (t) => {
  const key = createNetworkKey()
  const folder = temporaryDirectory(t)
  const [data, restored, otherData] = [join(folder, 'data'), join(folder, 'restored'), join(folder, 'other')]
  const start = async (path: string, peers: readonly string[]): Promise<Daemon> => {
    const settings = daemonSettings(path)
    const swarm = { ...settings.swarm, key, headsIntervalMs: 300, peers }
    const daemon = await startDaemon({ settings: { ...settings, swarm }, logger: silentLogger, version: '0' })
    t.teardown(() => daemon.close())
    return daemon
  }
  const publish = async (path: string, payload: string) => {
    t.match(await millrace('publish', '-d', path, '-t', 'x', JSON.stringify(payload)), { code: 0 })
  }
  const node = await start(data, [])
  await publish(data, 'before')
  t.match(await millrace('backup', '-d', data, join(folder, 'backup')), { code: 0 })
  const other = await start(otherData, node.addresses.swarm ?? [])
  await publish(data, 'after')
  await until(async () => (await payloads(otherData)).length === 2)
  await node.close()

  t.match(await millrace('restore', '--yes', join(folder, 'backup'), '-d', restored), { code: 0 })
  await start(restored, other.addresses.swarm ?? [])
  // At once: it has not heard of anybody yet.
  await publish(restored, 'again')
  for (const path of [restored, otherData]) {
    await until(async () => (await payloads(path)).length === 3)
    t.same(new Set(await payloads(path)), new Set(['before', 'after', 'again']))
    t.same(result(await millrace('peers', '-j', '-d', path)).alarms, [])
  }
})

t.test(
  'a backup holds the state as it was at one moment, and no version of the node that it is from is valid behind it',
  async (t) => {
    const folder = temporaryDirectory(t)
    const daemon = await DaemonProcess.start({ config })
    t.teardown(() => daemon.close())
    const on = (socket: string, ...argv: string[]) => millrace('state', ...argv, '-s', socket)
    const client = new Client(nodeTransport({ socketPath: daemon.socket }))
    t.teardown(() => {
      client.close()
    })
    await client.state.set('shop/short', 1, { ttl: { ttlMs: 1 } })
    const kept = await client.state.set('shop/kept', { price: 2 })
    await client.state.set('shop/ending', 3, { ttl: { ttlMs: 3_600_000 } })
    const ending = await client.state.get('shop/ending')
    const events = new AbortController()
    let counted = 0n
    const counting = (async () => {
      while (!events.signal.aborted) counted = await client.state.increment('shop/count')
    })()
    await until(() => counted > 20n)
    const target = join(folder, 'backup')
    const before = counted
    t.match(await millrace('backup', '-s', daemon.socket, target), { code: 0 })
    const after = counted
    events.abort()
    await counting
    const { revision: newest } = await client.state.info()

    const data = join(folder, 'restored')
    t.match(await millrace('restore', '--yes', target, '-d', data), { code: 0 })
    const node = await startNode(t, data)
    const socket = node.addresses.socket ?? ''
    const restored = new Client(nodeTransport({ socketPath: socket }))
    t.teardown(() => {
      restored.close()
    })
    t.match(await restored.state.get('shop/kept'), { value: { price: 2 }, version: kept })
    t.equal(await restored.state.get('shop/short'), undefined)
    const left = await restored.state.get('shop/ending')
    t.ok(Math.abs((left?.expiresAt ?? 0) - (ending?.expiresAt ?? 0)) < 60_000, 'the time to live goes on')
    const count = BigInt((await restored.state.get<number>('shop/count'))?.value ?? 0)
    t.ok(count >= before && count <= after + 1n, `${String(before)} ≤ ${String(count)} ≤ ${String(after)} + 1`)
    const { revision } = await restored.state.info()
    t.ok(revision > newest, 'what the old node gave out since is not given out again')
    const watch = restored.state.watch('shop/', newest)
    await t.rejects(
      watch.next(),
      { code: 'ERR_REQUEST_REFUSED', wireCode: 'ERR_COMPACTED' },
      'a watch of the old node does not simply go on',
    )
    t.ok((await restored.state.set('shop/kept', 4)) > revision)
    t.match(await on(socket, 'verify'), { code: 0, out: /all is whole/ })
    t.match(await millrace('verify', '-d', data), { code: 0, out: /all is whole/ })
  },
)
