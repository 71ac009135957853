import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import t from 'tap'
import { judgeClock } from '../../cli/checks/machine.js'
import { judge } from '../../cli/checks/mdns.js'
import { mdnsQuestion, readMdns } from '../../cli/checks/mdns-message.js'
import { checkPorts } from '../../cli/checks/ports.js'
import { judgeSwarm } from '../../cli/checks/running-node.js'
import { checkConfigText, firstConfig } from '../../config/index.js'
import { DaemonProcess } from '../support/daemon.js'
import { plainNode } from '../support/plain-node.js'
import { runMillrace } from '../support/run-millrace.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const millrace = (argv: readonly string[], env: Record<string, string> = {}) => runMillrace(argv, { env })

const result = ({ out }: { readonly out: string }): any => JSON.parse(out).result
/** Ports of the tests' own choosing, so that another node on the machine is no problem. */
const FREE = { MILLRACE_API_LISTEN: '127.0.0.1:0', MILLRACE_SWARM_LISTEN: '[/ip4/127.0.0.1/tcp/0]' }
const findingsOf = (report: { readonly out: string }, check: string): any[] =>
  result(report).findings.filter((finding: any) => finding.check === check)

t.test('what init makes starts a node, and is never overwritten', async (t) => {
  const folder = join(temporaryDirectory(t), 'new', 'gateway')
  const made = await millrace(['init', '--swarm', '-j', folder], FREE)
  t.equal(made.code, 0, made.out)
  const { files, identity, findings, next } = result(made)
  t.same(
    files.map(({ state }: any) => state),
    ['made', 'made', 'made'],
  )
  t.match(identity, { state: 'made', nodeId: /^.{43}$/ })
  t.match(
    findings.map(({ check }: any) => check),
    ['node.js', 'clock', 'disk speed', 'disk space', 'port', 'port'],
  )
  const file = join(folder, 'millrace.yml')
  t.equal(next, `millrace run --config ${file}`)
  t.equal(statSync(join(folder, 'swarm.key')).mode & 0o777, 0o600)
  t.match(readFileSync(file, 'utf8'), /^# yaml-language-server: \$schema=\.\/millrace\.schema\.json\n/)
  t.ok(existsSync(join(folder, 'millrace.schema.json')))

  const main = fileURLToPath(new URL('../../cli/main.js', import.meta.url))
  const env = { ...process.env, ...FREE, MILLRACE_SWARM_MDNS: 'false' }
  const child = spawn(...plainNode([main, ...next.split(' ').slice(1)]), { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  let ready: any
  for await (const line of createInterface({ input: child.stdout })) {
    ready = JSON.parse(line)
    if (ready.msg === 'ready') break
  }
  t.match(ready, { nodeId: identity.nodeId, data: join(folder, 'data'), swarm: [/tcp/] })
  const beside = await millrace(['init', folder], FREE)
  t.match(beside, { code: 0, out: /kept {2}identity that of the node that runs[^]*next: millrace reload\n$/ })
  child.kill('SIGTERM')
  await ended

  const key = readFileSync(join(folder, 'swarm.key'), 'utf8')
  writeFileSync(file, 'data: ./data\n')
  const again = await millrace(['init', '--swarm', '-j', folder], FREE)
  t.same(
    result(again).files.map(({ state }: any) => state),
    ['kept', 'kept', 'kept'],
  )
  t.match(result(again).identity, { state: 'kept', nodeId: identity.nodeId })
  t.match(findingsOf(again, 'swarm'), [{ state: 'warning', advice: /keyFile: \.\/swarm\.key/ }])
  t.equal(readFileSync(file, 'utf8'), 'data: ./data\n')
  t.equal(readFileSync(join(folder, 'swarm.key'), 'utf8'), key)
})

t.test('the first configuration sets where the data are, and only that', (t) => {
  const { settings, problems, warnings } = checkConfigText(firstConfig(false), '/x/millrace.yml')
  t.same({ problems, warnings }, { problems: [], warnings: [] })
  t.match(settings, { dataDirectory: '/x/data', routes: [], swarm: { key: undefined } })
  t.equal(settings?.retention.size, 0, 'nothing is dropped that nobody wanted dropped')
  t.match(firstConfig(true), /^swarm: .*\n {2}keyFile: \.\/swarm\.key/m)
  t.match(firstConfig(true), /^# eventRouting:\n/m)
  t.end()
})

t.test('init says what keeps a node from running', async (t) => {
  const folder = temporaryDirectory(t)
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const taken = await millrace(['init', folder], { MILLRACE_API_LISTEN: `127.0.0.1:${String(port)}` })
  t.match(taken, {
    code: 1,
    out: /^problem +port +127\.0\.0\.1:\d+: another process[^\n]*\n +what to do: .*api\.listen$/m,
  })
  writeFileSync(join(folder, 'file'), '')
  t.match(await millrace(['init', join(folder, 'file')]), { code: 1, err: /ERR_OUTPUT_UNWRITABLE/ })
  mkdirSync(join(folder, 'odd'))
  writeFileSync(join(folder, 'odd', 'millrace.yml'), 'dta: x\n')
  t.match(await millrace(['init', join(folder, 'odd')]), { code: 78, err: /unknown key 'dta'/ })
})

t.test('the same port in both versions of IP is free for a swarm that listens on both', async (t) => {
  const server = createServer().listen(0)
  await once(server, 'listening')
  const port = String((server.address() as AddressInfo).port)
  await new Promise((resolve) => server.close(resolve))
  const key = Buffer.alloc(32, 7).toString('base64')
  const text = `swarm: { key: "${key}", listen: [/ip4/0.0.0.0/tcp/${port}, "/ip6/::/tcp/${port}"] }\napi: { listen: 127.0.0.1:0 }`
  const { settings } = checkConfigText(text, 'x')
  if (settings === undefined) throw new Error('the configuration is fine')
  t.match(await checkPorts(settings), [{ state: 'ok' }, { state: 'ok' }, { state: 'ok' }])
})

t.test('clocks that are wrong or jump are told from those that run evenly', (t) => {
  const now = Date.UTC(2026, 5, 1)
  const judge = (wallMs: number, passed: number) =>
    judgeClock({ wallMs: now, monotonicMs: 100 }, { wallMs, monotonicMs: 100 + passed }).state
  t.equal(judge(now + 250, 250), 'ok')
  t.equal(judge(now + 3_600_000, 250), 'warning')
  t.equal(judge(now - 1000, 250), 'warning')
  const start = { wallMs: 0, monotonicMs: 0 }
  t.match(judgeClock(start, { wallMs: 250, monotonicMs: 250 }), { state: 'problem', found: /1970/ })
  t.end()
})

t.test('of the swarm every alarm is a problem, and who is missing a warning', (t) => {
  const base = { swarm: true, topic: 'x', addresses: [] }
  const alarm = { kind: 'gap', stream: null, peer: null, since: 0, message: 'm', advice: 'a' }
  const peer = {
    source: 'configured',
    state: 'waiting',
    addresses: ['/ip4/1.2.3.4/tcp/1'],
    failure: { message: 'refused' },
  }
  const report = { ...base, peers: [peer], alarms: [alarm] } as unknown as Parameters<typeof judgeSwarm>[0]
  t.match(judgeSwarm(report), [
    { state: 'warning', found: '0 nodes connected' },
    { state: 'warning', found: /1\.2\.3\.4.*: refused/ },
    { check: 'alarm gap', state: 'problem', found: 'm', advice: 'a' },
  ])
  t.end()
})

t.test('doctor looks at a node that runs, and its bundle holds no secrets', async (t) => {
  const key = Buffer.alloc(32, 7).toString('base64')
  const config = `
swarm: { key: "${key}", listen: [/ip4/127.0.0.1/tcp/0], mdns: false }
eventRouting:
  routes: [{ from: "'a'", into: kept }]
  streams: { kept: { maxSize: 9000000GB } }
`
  const daemon = await DaemonProcess.start({ config })
  t.teardown(() => daemon.close())
  const own = ['--socket', daemon.socket, '--config', daemon.configFile, '--data', daemon.data]
  await millrace(['publish', ...own, '-t', 'a', '{"password":"hidden-payload"}'])
  const token = result(await millrace(['token', '-j', ...own])).token as string
  chmodSync(daemon.configFile, 0o644)
  const bundle = join(temporaryDirectory(t), 'support.ndjson')
  const report = await millrace(['doctor', '-j', ...own, '--bundle', bundle])
  t.equal(report.code, 0, report.out)
  t.match(findingsOf(report, 'node'), [
    { state: 'ok', found: new RegExp(daemon.ready.nodeId.slice(0, 10).replaceAll(/[^\w]/g, '.')) },
  ])
  t.match(findingsOf(report, 'store'), [{ state: 'ok' }])
  t.match(findingsOf(report, 'configuration'), [{ state: 'ok' }])
  t.match(findingsOf(report, 'permissions'), [{ state: 'warning', advice: /^chmod 600 .*millrace\.yml$/ }])
  t.match(findingsOf(report, 'disk space'), [{ state: 'warning', found: /limits let streams grow/ }])
  t.match(findingsOf(report, 'peers'), [{ state: 'warning', found: '0 nodes connected' }])

  t.equal(statSync(bundle).mode & 0o777, 0o600)
  const text = readFileSync(bundle, 'utf8')
  const parts = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).part)
  t.same(parts, [
    'about',
    'findings',
    'settings',
    'identity',
    'node',
    'readiness',
    'topics',
    'streams',
    'offsets',
    'peers',
    'alarms',
    'log',
    'metrics',
  ])
  const seeds = ['identity.key', 'token.key'].map((name) => readFileSync(join(daemon.data, name)))
  const secrets = [key, token, token.slice(0, 40), 'hidden-payload', 'password']
  for (const bytes of [Buffer.from(key, 'base64'), ...seeds]) {
    for (const form of ['base64', 'base64url', 'hex', 'latin1'] as const) secrets.push(bytes.toString(form).trim())
  }
  for (const secret of secrets) t.notOk(text.includes(secret), 'a secret is not in the bundle')
  t.match(text, /"key":"\*\*\*"/)
  t.match(await millrace(['doctor', ...own, '--bundle', bundle]), { code: 1, err: /there already.*UNWRITABLE/ })

  await daemon.kill()
  chmodSync(daemon.configFile, 0o600)
  const plain = ['--config', daemon.configFile, '--data', daemon.data]
  const stopped = await millrace(['doctor', '-j', ...plain], FREE)
  t.match(findingsOf(stopped, 'node'), [{ state: 'warning', found: /does not run; its data directory is in order/ }])
  t.match(findingsOf(stopped, 'permissions'), [{ state: 'ok' }])
  t.match(findingsOf(stopped, 'port'), [{ state: 'ok' }, { state: 'ok' }])
})

t.test('doctor tells a bad configuration, and a node that is not there', async (t) => {
  const folder = temporaryDirectory(t)
  const file = join(folder, 'millrace.yml')
  writeFileSync(file, 'swarm: { key: "c2VjcmV0LWtleS10aGF0LWlzLXNob3J0" }\nlog: { levle: x }\n')
  const bundle = join(folder, 'bundle')
  const bad = await millrace(['doctor', '--config', file, '--bundle', bundle], FREE)
  t.equal(bad.code, 1)
  t.match(bad.out, /^problem +configuration +[^]*unknown key 'levle'[^]*what to do: [^]*\n1 problem, \d+ warnings\n$/m)
  t.notMatch(bad.out + readFileSync(bundle, 'utf8'), /c2VjcmV0/, 'a key with a mistake is one nevertheless')
  const none = await millrace(['doctor', '-j', '--data', join(folder, 'none')], FREE)
  t.match(findingsOf(none, 'node'), [{ state: 'problem', found: /no node has been run/ }])
  const named = await millrace(['doctor', '-j', '--data', folder, '--socket', join(folder, 'x')], FREE)
  t.match(findingsOf(named, 'node'), [{ state: 'problem', found: /is the node running/ }])
  t.equal(named.code, 1)
})

t.test('doctor asks by mDNS for the nodes of the swarm, of which the one that runs answers', async (t) => {
  const key = Buffer.alloc(32, 9).toString('base64')
  const daemon = await DaemonProcess.start({ config: `swarm: { key: "${key}", listen: [/ip4/127.0.0.1/tcp/0] }` })
  t.teardown(() => daemon.close())
  const env = { ...FREE, MILLRACE_API_SOCKET: daemon.socket }
  const report = await millrace(['doctor', '-j', '--config', daemon.configFile, '--data', daemon.data], env)
  const [finding] = findingsOf(report, 'mdns')
  if (finding.state === 'ok') t.equal(finding.found, '1 node of the swarm answered, this one included')
  else {
    t.match(finding, { found: /^(?:not possible here|a question to .* did not come back)/, advice: /swarm\.peers/ })
    t.comment(`multicast does not work here: ${String(finding.found)}`)
  }
})

t.test('what comes in on the question is judged by whether anything can be heard', (t) => {
  t.match(judge({ isHeard: true, nodes: 3 }, false), { state: 'ok', found: '3 nodes of the swarm answered' })
  t.match(judge({ isHeard: true, nodes: 0 }, false), { state: 'ok', found: /came back; no node of the swarm answered/ })
  t.match(judge({ isHeard: true, nodes: 0 }, true), { state: 'warning', found: /itself did not answer/ })
  t.match(judge({ isHeard: false, nodes: 0 }, true), { state: 'warning', found: /did not come back/, advice: /5353/ })
  t.end()
})

t.test('messages of multicast DNS are read, whatever they are', (t) => {
  const service = '_mr-0123456789ab._udp.local'
  const question = mdnsQuestion(service)
  t.same(readMdns(question, service), { kind: 'question' })
  t.equal(readMdns(question, '_other._udp.local'), undefined)
  const answer = (parts: readonly (Buffer | readonly number[])[], answers: number) => {
    const header = Buffer.from([0, 0, 0x84, 0, 0, 0, 0, answers, 0, 0, 0, 0])
    return Buffer.concat([header, ...parts.map((part) => Buffer.from(part))])
  }
  const name = question.subarray(12, -4)
  const head = (type: number, bytes: number) => [0, type, 0, 1, 0, 0, 0, 120, 0, bytes]
  // Behind the first name, later ones point to it, as the answers of nodes do.
  const [peer, pointer] = [
    [4, 0x70, 0x65, 0x65, 0x72, 0xc0, 12],
    [0xc0, 12],
  ]
  const whole = answer([name, head(12, 7), peer, pointer, head(16, 2), [1, 0x78], pointer, head(12, 7), peer], 3)
  t.same(readMdns(whole, service), { kind: 'answer', names: [`peer.${service}`, `peer.${service}`] })
  t.equal(readMdns(whole, '_other._udp.local'), undefined)
  for (let end = 0; end < whole.length - 7; end++) readMdns(whole.subarray(0, end), service)
  t.equal(readMdns(answer([[0xc0, 12]], 1), service), undefined, 'a name that points to itself')
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(200), fc.nat(255), (bytes, at, value) => {
      t.doesNotThrow(() => readMdns(Buffer.from(bytes), service))
      const changed = Buffer.from(whole)
      changed[at % whole.length] = value
      t.doesNotThrow(() => readMdns(changed, service))
    }),
    { numRuns: 500 },
  )
  t.end()
})
