import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { Client, fetchTransport, parseAnswerLine, payloadText, type Transport } from '../../client/index.js'
import { nodeTransport } from '../../client/node.js'
import { Collector } from '../support/collector.js'
import { DaemonProcess } from '../support/daemon.js'
import { temporaryDirectory } from '../support/temporary-directory.js'
import { plainNode } from '../support/plain-node.js'

const main = fileURLToPath(new URL('../../cli/main.js', import.meta.url))
const config = `
eventRouting:
  routes:
    - { from: "'short'", into: brief }
    - { from: "'long'", into: other }
  streams:
    brief: { maxEvents: 20 }
storage: { block: { maxEvents: 10 } }
`

const daemon = await DaemonProcess.start({ config })
t.teardown(() => daemon.close())

interface Result {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

function start(argv: readonly string[]) {
  const env = { ...process.env, MILLRACE_API_SOCKET: daemon.socket }
  return spawn(...plainNode([main, ...argv]), { env, stdio: ['pipe', 'pipe', 'pipe'] })
}

async function millrace(argv: readonly string[], input = ''): Promise<Result> {
  const child = start(argv)
  const closed = once(child, 'close')
  child.stdin.on('error', () => undefined).end(input)
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)])
  const [code] = (await closed) as [number | null]
  return { code, out, err }
}

const lines = (out: string): any[] =>
  out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))

t.test('an event from the arguments comes back as it was written', async (t) => {
  const published = await millrace([
    'publish',
    '-j',
    '-t',
    'one',
    '-t',
    'two',
    '{"exact": 1.50, "big": 12345678901234567890}',
  ])
  t.match(JSON.parse(published.out), { code: 'OK', result: { offset: 0, stream: /-0$/ } })
  t.match(await millrace(['publish', '-t', 'one', '"x"']), { code: 0, out: /^published event \S+-0\/1 at 2/ })
  const raw = await millrace(['query', '-j', "FROM 'one' & 'two'"])
  t.match(raw.out, '"payload":{"exact":1.50,"big":12345678901234567890}}\n')
  t.match(lines(raw.out), [{ tags: ['one', 'two'], appId: 'com.example.millrace' }, { type: 'offsets' }])
  const human = await millrace(['query', '--order', 'desc', "FROM 'one'"])
  t.match(human.out, /^\S+Z \S+-0\/1 {2}one {2}"x"\n\S+Z \S+-0\/0 {2}one two {2}\{"exact":1.50/)
  t.equal(human.err, '')
})

t.test('what the node refuses is a failure with its words', async (t) => {
  t.match(await millrace(['query', 'FROM x']), { code: 1, out: '', err: /1:6[^]*ERR_REQUEST_REFUSED/ })
  t.match(await millrace(['publish', '--app', 'com.other', '1']), { code: 1, err: /com\.example\./ })
  const failed = await millrace(['query', '-j', 'FROM x'])
  t.match(JSON.parse(failed.out), { code: 'ERR_REQUEST_REFUSED' })
  const warned = await millrace(['query', "FROM 'one' SELECT _.missing"])
  t.match(warned, { code: 0, err: /^warning: / }, 'a warning in an answer is none')
})

t.test('lines of stdin and of files become events with tags of their fields', async (t) => {
  const rows = Array.from({ length: 2500 }, (_, n) => ({ n, carrier: `C${String(n % 3)}` }))
  const ndjson = rows.map((row) => `${JSON.stringify(row)}\n`).join('')
  const file = join(t.testdir({ 'rows.ndjson': ndjson }), 'rows.ndjson')
  const fromFile = await millrace([
    'publish',
    '-j',
    '-f',
    file,
    '-t',
    'file',
    '--tags-from',
    'carrier',
    '--batch',
    '700',
  ])
  t.match(JSON.parse(fromFile.out), { result: { events: 2500, lines: 2500, complete: true } })
  const fromStdin = await millrace(['publish', '-j', '-t', 'stdin', '-'], '1\n2\n')
  t.match(JSON.parse(fromStdin.out), { result: { events: 2, lines: 2 } })
  const counted = await millrace(['query', '-j', "FEATURES(aggregate) FROM 'file' & 'carrier:C1' AGGREGATE SUM(1)"])
  t.equal(lines(counted.out)[0].payload, 833)
  const order = lines((await millrace(['query', '-j', "FROM 'file' SELECT _.n"])).out).slice(0, -1)
  t.same(
    order.map(({ payload }) => payload),
    rows.map(({ n }) => n),
    'all of them, in their order',
  )
  t.match(await millrace(['publish', '-t', 'stdin'], '1\n2\n3'), { code: 0, err: /^published 3 events/ })
  const enveloped = await millrace(['publish', '-e', '-t', 'stdin'], '{"payload":4,"tags":["env"]}\n')
  t.equal(enveloped.code, 0)
  t.match(lines((await millrace(['query', '-j', "FROM 'env' & 'stdin'"])).out), [{ payload: 4 }, { type: 'offsets' }])
  t.match(await millrace(['publish', '-t', 'stdin'], '5\nbad\n'), { code: 1, err: /line 2: .*line 1 column 1/ })
})

t.test('a long publish goes on where the end of the node stopped it', async (t) => {
  const rows = Array.from({ length: 20_000 }, (_, n) => `${String(n)}\n`).join('')
  const folder = t.testdir({ rows })
  const argv = [
    'publish',
    '-f',
    join(folder, 'rows'),
    '-t',
    'resumed',
    '--resume',
    join(folder, 'progress'),
    '--batch',
    '100',
  ]
  const child = start([...argv, '--retry', '0'])
  const ended = once(child, 'close')
  const err = text(child.stderr)
  child.stdin.end()
  const follower = start(['tail', '-j', "FROM 'resumed'"])
  await once(follower.stdout, 'data')
  await daemon.kill()
  const [code] = (await ended) as [number | null]
  follower.kill()
  if (code !== 0) t.match(await err, /ERR_NODE_UNREACHABLE/)
  await daemon.startAgain()
  const again = await millrace([...argv, '-j'])
  t.equal(again.code, 0, again.err)
  const { acknowledgedLines } = JSON.parse(readFileSync(join(folder, 'progress'), 'utf8'))
  t.equal(acknowledgedLines, 20_000)
  const stored = lines((await millrace(['query', '-j', "FROM 'resumed'"])).out).slice(0, -1)
  const unique = [...new Set(stored.map(({ payload }) => payload as number))]
  t.equal(unique.length, 20_000, 'no line is missing')
  t.ok(
    stored.length - unique.length <= 4 * 100,
    'only requests of unknown outcome went out twice: four may be under way',
  )
  if (stored.length > unique.length) t.match(again.err, /sent again: whether they were stored is not known/)
})

t.test('tail shows the last events, then live ones, and ends quietly', async (t) => {
  await millrace(['publish', '-t', 'tailed'], '1\n2\n3\n')
  const child = start(['tail', '-j', '--lines', '2', "FROM 'tailed'"])
  child.stdin.end()
  const ended = once(child, 'close')
  const seen: number[] = []
  let isLive = false
  let rest = ''
  for await (const chunk of child.stdout.setEncoding('utf8')) {
    const parts = (rest + String(chunk)).split('\n')
    rest = parts.pop() ?? ''
    for (const part of parts) {
      const line = parseAnswerLine(part)
      if (line.type === 'event') seen.push(line.payload as number)
      if (line.type === 'offsets' && !isLive) {
        isLive = true
        await millrace(['publish', '-t', 'tailed', '4'])
      }
    }
    if (seen.includes(4)) child.kill('SIGINT')
  }
  t.same(seen, [2, 3, 4])
  const [code] = (await ended) as [number | null]
  t.equal(code, 0)
  t.equal(await text(child.stderr), '')
})

t.test('tail waits for a node that goes away, and goes on where it was', async (t) => {
  await millrace(['publish', '-t', 'away'], '1\n2\n')
  const child = start(['tail', '-j', '--all', "FROM 'away' SELECT _"])
  child.stdin.end()
  const ended = once(child, 'close')
  const err = new Collector<string>()
  child.stderr.setEncoding('utf8').on('data', err.push)
  const out = new Collector<string>()
  child.stdout.setEncoding('utf8').on('data', out.push)
  const seen = (): any[] => lines(out.items.join(''))
  await out.until(() => out.items.join('').includes('"offsets"'))
  await daemon.kill()
  await err.until((parts) => /trying again\n/.test(parts.join('')))
  await daemon.startAgain()
  await err.until((parts) => /going on where it broke off\n/.test(parts.join('')))
  await millrace(['publish', '-t', 'away', '3'])
  await out.until((parts) => parts.join('').includes('"payload":3}\n'))
  child.kill('SIGINT')
  t.equal((await ended)[0], 0)
  t.same(
    seen().flatMap(({ type, payload }) => (type === 'event' ? [payload] : [])),
    [1, 2, 3],
  )
  const nobody = await millrace(['tail', '--all', '--node', 'http://127.0.0.1:1'])
  t.match(nobody, { code: 1, out: '', err: /ERR_NODE_UNREACHABLE/ }, 'one that is not there at first is an error')
})

t.test('a reader that leaves ends a query without a word', async (t) => {
  const child = start(['query', '-j', 'FROM allEvents'])
  const ended = once(child, 'close')
  const err = text(child.stderr)
  await once(child.stdout, 'data')
  child.stdout.destroy()
  await ended
  t.equal(await err, '')
})

t.test('streams tells sizes, limits and what holds them back', async (t) => {
  const input = Array.from({ length: 95 }, () => '1\n').join('')
  t.equal((await millrace(['publish', '-t', 'short'], input)).code, 0)
  const [brief] = JSON.parse((await millrace(['streams', '-j', 'brief'])).out).result.streams
  t.match(brief, {
    name: 'brief',
    number: 1,
    own: true,
    nextOffset: 95,
    retention: { maxEvents: 20, maxAgeMicros: null },
  })
  t.ok(brief.events >= 20 && brief.events <= 95)
  const table = await millrace(['streams'])
  t.match(table.out, /^NAME +NUMBER +EVENTS/)
  t.match(table.out, /^brief +1 .* 20 events .*(within-limits|unsealed)$/m)
  t.match(table.out, /^default +0 .*no-limit$/m)
  t.match(await millrace(['streams', 'none']), { code: 1, out: /no stream 'none'/ })
  const { present } = JSON.parse((await millrace(['offsets', '-j'])).out).result
  t.equal(Object.entries(present).find(([stream]) => stream.endsWith('-1'))?.[1], 94)
  t.match((await millrace(['offsets'])).out, /^STREAM +OFFSET +TO REPLICATE\n/)
})

t.test('explain tells what a query would do', async (t) => {
  const { code, result } = JSON.parse((await millrace(['query', '--explain', '-j', "FROM 'one'"])).out)
  t.equal(code, 'OK')
  t.match(result, { order: 'asc', branches: [{ tags: ['one'] }] })
})

t.test('the same client works over TCP, over the socket and over fetch', async (t) => {
  const manifest = { appId: 'com.example.client', displayName: 'test', version: '1' }
  const transports: Transport[] = [
    nodeTransport({ url: daemon.url }),
    nodeTransport({ socketPath: daemon.socket }),
    fetchTransport(daemon.url),
  ]
  for (const transport of transports) {
    const client = new Client(transport, manifest)
    t.match(await client.nodeId(), /^[./0-9A-Za-z]{43}$/, transport.target)
    t.match(await client.nodeInfo(), { version: /^2\.18\.2-millrace/ })
    const [first, second] = await client.publish([
      '{"tags":["client"],"payload":1.0}',
      '{"tags":["client"],"payload":2}',
    ])
    t.equal(second?.offset, (first?.offset ?? 0) + 1)
    const stop = new AbortController()
    const events: string[] = []
    const live = client.subscribeTexts("FROM 'client'", { signal: stop.signal })
    for await (const line of live) {
      if (parseAnswerLine(line).type === 'offsets') break
      events.push(payloadText(line))
    }
    t.same(events.slice(-2), ['1.0', '2'])
    await t.rejects(client.publish(['{']), { code: 'ERR_REQUEST_REFUSED', status: 400, wireCode: 'ERR_BAD_REQUEST' })
    client.close()
  }
  for (const transport of [nodeTransport({ url: 'http://127.0.0.1:1' }), fetchTransport('http://127.0.0.1:1')]) {
    await t.rejects(new Client(transport, manifest).offsets(), { code: 'ERR_NODE_UNREACHABLE' })
  }
})

t.test('a token that the node no longer takes is replaced', async (t) => {
  const requests: string[] = []
  let token = 0
  const encoder = new TextEncoder()
  const transport: Transport = {
    target: 'fake',
    async request({ path, headers }) {
      requests.push(`${path} ${headers['authorization'] ?? ''}`)
      if (path === '/api/v2/auth') return reply(200, { token: String(++token) })
      const isOld = headers['authorization'] === 'Bearer 1' && requests.length > 2
      return isOld ? reply(401, { code: 'ERR_TOKEN_EXPIRED', message: 'old' }) : reply(200, { streams: [] })
    },
    close: () => undefined,
  }
  function reply(status: number, value: unknown) {
    return {
      status,
      body: (async function* () {
        yield encoder.encode(JSON.stringify(value))
      })(),
    }
  }
  const client = new Client(transport, { appId: 'com.example.x', displayName: 'x', version: '1' })
  t.same(await client.streams(), [])
  t.same(await client.streams(), [])
  t.same(
    requests.map((request) => request.replace(/^\S+\//, '')),
    ['auth ', 'streams Bearer 1', 'streams Bearer 1', 'auth ', 'streams Bearer 2'],
  )
})

t.test('route asks the node for the routes that it has in force', async (t) => {
  const result = async (...argv: string[]) => JSON.parse((await millrace(['route', '-j', ...argv])).out).result
  const brief = {
    stream: 'brief',
    number: 1,
    route: 0,
    tags: ['short'],
    retention: { maxEvents: 20, maxAgeMicros: null },
  }
  t.match(await result('short'), { ...brief, source: daemon.socket, appId: 'com.example.millrace' })
  const none = { stream: 'default', route: null, retention: null, appId: 'com.acme.x', source: daemon.url }
  t.match(await result('x', '--app', 'com.acme.x', '--node', daemon.url), none)
  const file = join(temporaryDirectory(t), 'other.yml')
  writeFileSync(file, `eventRouting: { routes: [{ from: "'short'", into: elsewhere }] }\n`)
  t.match(await result('short', '--config', file), { stream: 'elsewhere', number: null, source: file })
})

t.test('a reload applies routes and limits, and a bad file changes nothing', async (t) => {
  const logged = async (message: string): Promise<Record<string, unknown>> => {
    for (;;) {
      const entry = daemon.log.find(({ msg }) => msg === message)
      if (entry !== undefined) return entry
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const into = async (): Promise<string> =>
    JSON.parse((await millrace(['publish', '-j', '-t', 'long', '1'])).out).result.stream
  t.match(await into(), /-2$/)
  writeFileSync(daemon.configFile, 'eventRouting: { routs: [] }\n')
  daemon.signal('SIGHUP')
  t.match(await logged('reload refused, the old settings stay in force'), { reason: /1:17: unknown key 'routs'/ })
  t.match(await into(), /-2$/, 'the old route holds')
  writeFileSync(daemon.configFile, config.replace(`"'long'", into: other`, `"'long'", into: brief`))
  daemon.signal('SIGHUP')
  await logged('settings reloaded')
  t.match(await into(), /-1$/, 'the new route holds')
  const { out } = await millrace(['route', '-t', 'long'])
  t.match(out, /^stream brief: /, 'and it is the one that is explained')
})

t.test('a SIGHUP while the node starts does not end it, and is acted on once it is ready', async (t) => {
  const folder = temporaryDirectory(t)
  const child = start(['run', '--api', '127.0.0.1:0', '--socket', join(folder, 's'), '--data', join(folder, 'd')])
  t.teardown(() => child.kill('SIGKILL'))
  const exited = once(child, 'exit')
  const takesHangups = (): boolean => {
    // Between fork and exec it is still a copy of this process, with the signals that this process takes.
    if (!readFileSync(`/proc/${String(child.pid)}/cmdline`, 'utf8').includes(folder)) return false
    const caught = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${String(child.pid)}/status`, 'utf8'))?.[1]
    return (BigInt(`0x${caught ?? '0'}`) & 1n) === 1n
  }
  while (!takesHangups()) await new Promise((resolve) => setImmediate(resolve))
  for (let times = 0; times < 3; times++) child.kill('SIGHUP')
  const said: string[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    said.push((JSON.parse(line) as { msg: string }).msg)
    if (said.at(-1) === 'settings reloaded') child.kill('SIGTERM')
  }
  t.same(said, ['ready', 'settings reloaded', 'stopping', 'stopped'])
  t.same(await exited, [0, null])
})

t.test('exit codes tell why a node did not start', async (t) => {
  const folder = temporaryDirectory(t)
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const run = (...argv: string[]) =>
    millrace(['run', '--socket', join(folder, 's'), '--data', join(folder, 'd'), ...argv])
  t.match(await run('--api', `127.0.0.1:${String(port)}`), { code: 69, err: /ERR_ADDRESS_IN_USE/ })
  server.close()
  t.match(await run('--api', 'x'), { code: 78, err: /^millrace: [^]*--api:1:1: expected host:port/ })
  t.match(await run('--config', join(folder, 'none')), { code: 78 })
  t.match(await run('--wrong'), { code: 2 })
  t.match(await run('--api', '127.0.0.1:0', '--data', daemon.data), { code: 73, err: /ERR_STORE_LOCKED/ })
  mkdirSync(join(folder, 'x'))
  writeFileSync(join(folder, 'x', 'file'), '')
  t.match(await run('--api', '127.0.0.1:0', '--data', join(folder, 'x', 'file')), { code: 73 })
  // Below /proc the system says "no such file" for ever; the start must not.
  t.match(await run('--api', '127.0.0.1:0', '--data', '/proc/millrace'), { code: 73, err: /ERR_DATA_DIRECTORY/ })
})

t.test('SIGTERM ends the node with 0', async (t) => {
  t.equal(await daemon.stop(), 0)
})
