import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startDaemon } from '../../node/index.js'
import { DaemonProcess } from '../support/daemon.js'
import { daemonSettings, silentLogger } from '../support/daemon-settings.js'
import { plainNode } from '../support/plain-node.js'
import { runMillrace } from '../support/run-millrace.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const config = (streams: string, more = ''): string => `
eventRouting:
  routes: [{ from: "'a'", into: kept }]
  streams: { ${streams} }
${more}`

// The level of the tests is no setting, and the node would say so.
const env = { MILLRACE_TEST_LEVEL: '' }
const daemon = await DaemonProcess.start({ config: config('kept: { maxEvents: 20 }'), env })
t.teardown(() => daemon.close())

const millrace = (argv: readonly string[], isTerminal = false) => runMillrace(argv, { isTerminal })

const own = ['--socket', daemon.socket]

t.test('reload tells what holds now, what waits for a restart, and what is odd', async (t) => {
  t.equal((await millrace(['publish', '-t', 'a', '1', ...own])).code, 0)
  t.match(await millrace(['reload', ...own]), { code: 0, out: 'nothing has changed\n', err: '' })
  writeFileSync(
    daemon.configFile,
    config('kept: { maxEvents: 10 }, other: {}', 'storage: { cache: 16MiB }\nlog: { level: warn }'),
  )
  const { code, out, err } = await millrace(['reload', ...own])
  t.equal(code, 0)
  t.equal(out, 'in force from now on: eventRouting.streams, log.level\nin force after the next start: storage.cache\n')
  t.match(err, /^warning: .*millrace\.yml:4:39: no route leads to the stream 'other'/)
  const [kept] = JSON.parse((await millrace(['streams', '-j', 'kept', ...own])).out).result.streams
  t.equal(kept.retention.maxEvents, 10, 'the limit is in force')
  const again = await millrace(['reload', '-j', ...own])
  t.match(JSON.parse(again.out), {
    code: 'OK',
    result: { applied: [], waiting: ['storage.cache'], warnings: [/other/] },
  })
})

t.test('a bad file is refused with its places, and changes nothing', async (t) => {
  writeFileSync(daemon.configFile, config('kept: { maxEvents: -1 }', 'log: { levle: info }'))
  const { code, out, err } = await millrace(['reload', ...own])
  t.same({ code, out }, { code: 78, out: '' })
  t.match(err, /millrace\.yml:4:\d+: [^]*millrace\.yml:5:8: unknown key 'levle'[^]*did you mean 'level'\?/)
  const json = await millrace(['reload', '-j', ...own])
  t.equal(json.code, 78)
  t.match(JSON.parse(json.out), { code: 'ERR_REQUEST_REFUSED', wireCode: 'ERR_CONFIG_INVALID', status: 422 })
  const [kept] = JSON.parse((await millrace(['streams', '-j', 'kept', ...own])).out).result.streams
  t.equal(kept.retention.maxEvents, 10)
})

t.test('only who may use the Unix socket can reload, and only a node with a configuration', async (t) => {
  const remote = await millrace(['reload', '-j', '--node', daemon.url])
  t.equal(remote.code, 1)
  t.match(JSON.parse(remote.out), { wireCode: 'ERR_FORBIDDEN' })
  const data = temporaryDirectory(t)
  const embedded = await startDaemon({ settings: daemonSettings(data), logger: silentLogger, version: '0' })
  t.teardown(() => embedded.close())
  t.match(await millrace(['reload', '--data', data]), { code: 1, err: /without a configuration/ })
  t.match(await millrace(['reload', '--socket', `${data}/none`]), { code: 1, err: /is the node running/ })
})

t.test('a token for an app works, and it is told what it permits', async (t) => {
  const { code, out } = await millrace(['token', '-j', '--app', 'com.example.gauge', ...own])
  t.equal(code, 0)
  const { result } = JSON.parse(out)
  t.match(result, { appId: 'com.example.gauge', mode: 'trial', permits: [/publish/, /files/, /streams/] })
  const hours = (Date.parse(result.validUntil) - Date.now()) / 3_600_000
  t.ok(hours > 23 && hours < 25, 'good for a day')
  const answer = await fetch(`${daemon.url}/api/v2/events/offsets`, {
    headers: { authorization: `Bearer ${String(result.token)}` },
  })
  t.equal(answer.status, 200)
  const forOperator = JSON.parse((await millrace(['token', '-j', '--operator', ...own])).out).result
  t.match(forOperator, { appId: 'com.example.console', mode: 'operator' })
  t.match(forOperator.permits.at(-1), /change routes and limits/)
  const shown = await millrace(['token', ...own], true)
  t.match(shown.out, /^[A-Za-z0-9_-]+\n$/)
  t.match(shown.err, /^for the app com\.example\.millrace, good until 2\S+Z; who has it may\n {2}publish/)
  t.equal((await millrace(['token', ...own])).err, '', 'scripts get the token alone')
  t.match(await millrace(['token', '--app', 'com.acme.gauge', ...own]), { code: 1, out: '', err: /api\.apps/ })
})

t.test('the command as installed prints a token for a script', async (t) => {
  const main = fileURLToPath(new URL('../../cli/main.js', import.meta.url))
  const child = spawn(...plainNode([main, 'token', ...own]), { stdio: ['ignore', 'pipe', 'ignore'] })
  const [out] = await Promise.all([text(child.stdout), once(child, 'close')])
  t.match(out, /^[A-Za-z0-9_-]{100,}\n$/)
})
