import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import fc from 'fast-check'
import t from 'tap'
import { encodeBase64 } from '../../core/index.js'
import { startDaemon, type Daemon } from '../../node/index.js'
import { parseResumeId, ResumePoint } from '../../node/api/resume-point.js'
import { App } from '../support/app.js'
import { ask, linesOf } from '../support/ask.js'
import { daemonSettings, silentLogger } from '../support/daemon-settings.js'
import { eventSource, SourceParser, type SourceEvent } from '../support/event-source.js'
import { temporaryDirectory } from '../support/temporary-directory.js'
import { startApi } from './support/api-node.js'

const V2 = '/api/v2/events'
const OWN = '/api/millrace/v1/events'
const EVENT_STREAM = { accept: 'text/event-stream' }

const ROUTES = [{ from: "'b'", selection: { kind: 'tags' as const, anyOf: new Set(['b']) }, into: 'other' }]

function start(data: string): Promise<Daemon> {
  const settings = daemonSettings(data, { routes: ROUTES })
  return startDaemon({ settings, logger: silentLogger, version: '0.0.0' })
}

async function startedApp(t: { teardown: (work: () => unknown) => void }): Promise<App> {
  const daemon = await start(temporaryDirectory(t))
  t.teardown(() => daemon.close())
  return App.at(daemon.addresses.api[0] ?? '')
}

const parse = (text: string): SourceEvent[] => [...new SourceParser().push(text)]

const payloadOf = ({ data }: SourceEvent): unknown => (JSON.parse(data) as { payload: unknown }).payload

void t.test('the data of an event stream are the lines of the same query as NDJSON', async (t) => {
  const app = await startedApp(t)
  await app.publish([['a', 'é\u2028'], { text: 'two\nlines\r\u2028', n: 1.5 }], [['b'], null], [['a'], [1, 'x']])
  await app.publish([['a'], 'x'.repeat(200_000)], [['a'], 3])
  for (const query of ["FROM 'a'", "FROM 'a' FILTER _ > 2", "FROM allEvents SELECT _.n ?? 'none'"]) {
    for (const order of ['asc', 'desc', 'stream-asc']) {
      const body = { query, order }
      const lines = await app.post(`${V2}/query`, body)
      t.equal(lines.headers['content-type'], 'application/x-ndjson')
      const events = await app.post(`${V2}/query`, body, EVENT_STREAM)
      t.equal(events.headers['content-type'], 'text/event-stream')
      t.equal(events.headers['cache-control'], 'no-store')
      const got = await ask(app.url, app.link(`${OWN}/query`, body).slice(app.url.length), { headers: EVENT_STREAM })
      t.equal(got.text, events.text, 'GET and POST answer the same')
      const dispatched = parse(events.text)
      const end = dispatched.pop()
      t.match(end, { name: 'end', data: '{}', id: 'end' })
      t.same(
        dispatched.map(({ data }) => data),
        linesOf(lines.text),
      )
      t.same(
        dispatched.map(({ name }) => name),
        linesOf(lines.text).map((line) => (JSON.parse(line) as { type: string }).type),
      )
    }
  }
})

void t.test(
  'a subscription is taken up after whatever was delivered last, nothing lost and nothing twice',
  async (t) => {
    const app = await startedApp(t)
    const expected = Array.from({ length: 60 }, (_, at) => at)
    const publish = (from: number, to: number): Promise<unknown> =>
      app.publish(...expected.slice(from, to).map((at) => [at % 3 === 0 ? ['b', 'x'] : ['x'], at] as const))
    await publish(0, 20)
    await publish(20, 40)
    for (const path of [`${OWN}/subscribe`, `${OWN}/subscribe_monotonic`]) {
      for (const step of [1, 7, 21]) {
        const seen: unknown[] = []
        let lastId = ''
        while (seen.length < 40) {
          const headers = { ...EVENT_STREAM, ...(lastId === '' ? {} : { 'last-event-id': lastId }) }
          // A message has three fields; the first line says when to come back.
          const lines = 1 + Math.min(step, 40 - seen.length) * 3
          const link = app.link(path, { query: "FROM 'x'" }).slice(app.url.length)
          const { text, status } = await ask(app.url, link, { headers, lines })
          t.equal(status, 200)
          const events = parse(text).filter(({ name }) => name === 'event')
          const taken = events.slice(0, step)
          seen.push(...taken.map(payloadOf))
          lastId = taken.at(-1)?.id ?? lastId
        }
        t.same(seen, expected.slice(0, 40), `${path}, ${String(step)} events each time`)
      }
    }
    const live = eventSource(() => app.link(`${OWN}/subscribe`, { query: "FROM 'x' FILTER _ >= 30" }))
    const seen: unknown[] = []
    for await (const event of live) {
      if (event.name === 'offsets') await publish(40, 60)
      if (event.name === 'event') seen.push(payloadOf(event))
      if (seen.length === 30) break
    }
    t.same(
      seen.sort((a, b) => Number(a) - Number(b)),
      expected.slice(30),
    )
  },
)

void t.test('a browser finds its place again after the node was started anew', async (t) => {
  const data = temporaryDirectory(t)
  let daemon = await start(data)
  t.teardown(() => daemon.close())
  let app = await App.at(daemon.addresses.api[0] ?? '')
  const again = async (): Promise<void> => {
    await daemon.close()
    daemon = await start(data)
    app = await App.at(daemon.addresses.api[0] ?? '')
  }
  await app.publish([['x'], 0], [['b', 'x'], 1], [['x'], 2])
  const seen: unknown[] = []
  const names: string[] = []
  let restarted: Promise<unknown> | undefined
  for await (const event of eventSource(() => app.link(`${OWN}/subscribe`, { query: "FROM 'x'" }))) {
    names.push(event.name)
    if (event.name === 'event') seen.push(payloadOf(event))
    if (seen.length === 6) break
    if (event.name !== 'offsets') continue
    // The next connection begins with the offsets, too, and those come before the new events.
    if (seen.length === 3) restarted ??= again().then(() => app.publish([['x'], 3], [['b', 'x'], 4], [['x'], 5]))
  }
  await restarted
  t.same(seen.slice(0, 3), [0, 1, 2])
  t.same([...seen].sort(), [0, 1, 2, 3, 4, 5])
  t.notOk(names.includes('end'), 'a shutdown is no end of the answer')
})

void t.test('an answer that ended by itself is not asked for again', async (t) => {
  const app = await startedApp(t)
  await app.publish([['a'], 1], [['a'], 2], [['a'], 3])
  const cases = [
    [`${OWN}/query`, { query: "FROM 'a'" }, ['event', 'event', 'event', 'offsets', 'end']],
    [`${OWN}/query`, { query: "FROM 'a'", lowerBound: '{}', upperBound: '{}' }, ['offsets', 'end']],
    [`${OWN}/subscribe`, { query: "FROM 'a' LIMIT 2" }, ['event', 'event', 'end']],
  ] as const
  for (const [path, parameters, expected] of cases) {
    const events: SourceEvent[] = []
    for await (const event of eventSource(() => app.link(path, parameters))) events.push(event)
    t.same(
      events.map(({ name }) => name),
      expected,
    )
  }
  const done = await app.call(`${OWN}/query?query=FROM%20'a'`, { headers: { ...EVENT_STREAM, 'last-event-id': 'end' } })
  t.same([done.status, done.text], [204, ''])
})

void t.test('only answers whose rows each follow from one event have ids in their middle', async (t) => {
  const app = await startedApp(t)
  await app.publish([['a'], 1], [['a'], 2])
  const idsOf = async (query: string, order = 'asc'): Promise<string[]> => {
    const { text } = await app.post(`${V2}/query`, { query, order }, EVENT_STREAM)
    const events = parse(text)
    t.ok(events.length >= 3, query)
    return events.slice(0, -1).map(({ id }) => id)
  }
  t.notOk((await idsOf("FROM 'a' FILTER _ > 0 SELECT _ + 1")).includes(''))
  const without = [
    "FROM 'a' LIMIT 2",
    'FEATURES(aggregate) FROM allEvents AGGREGATE SUM(_) ',
    "FEATURES(multiEmission) FROM 'a' SELECT _, _",
    'FEATURES(fromArray) FROM [1, 2]',
    "FEATURES(spread) FROM 'a' SELECT ...[_, _]",
    "FEATURES(subQuery) FROM 'a' SELECT FROM 'a' END",
    "FROM 'a' ORDER DESC",
  ]
  for (const query of without) t.same(new Set(await idsOf(query)), new Set(['']), query)
  t.same(new Set(await idsOf("FROM 'a'", 'desc')), new Set(['']))
})

void t.test('requests are refused as for NDJSON, and bad ids with them', async (t) => {
  const app = await startedApp(t)
  const get = (path: string, headers: Record<string, string> = EVENT_STREAM): Promise<number> =>
    app.call(`${OWN}/${path}`, { headers }).then(({ status }) => status)
  t.equal(await get('query'), 400)
  t.equal(await get('query?query=FROM'), 400)
  t.equal(await get("query?query=FROM%20'a'&order=up"), 400)
  t.equal(await get("query?query=FROM%20'a'&lowerBound=5"), 400)
  t.equal(await get("query?query=FROM%20'a'&lowerBound={}x"), 400)
  t.equal(await get("subscribe?query=FEATURES(multiEmission)%20FROM%20'a'%20SELECT%201,2"), 418)
  t.equal(await get("query?query=FROM%20'a'", { accept: 'text/html' }), 406)
  t.equal(await get("query?query=FROM%20'a'", { accept: 'text/event-stream;q=0' }), 406)
  for (const id of ['x', 'end;', `${'.'.repeat(43)}:`, `${'.'.repeat(43)}:0=-1`, `${'.'.repeat(43)}:0=1,`]) {
    const { status, text } = await app.call(`${OWN}/subscribe?query=FROM%20'a'`, {
      headers: { ...EVENT_STREAM, 'last-event-id': id },
    })
    t.same([status, (JSON.parse(text) as { code: string }).code], [400, 'ERR_BAD_REQUEST'], id)
  }
  t.equal((await ask(app.url, `${OWN}/subscribe?query=FROM%20'a'`)).status, 401)
  const beyond = await app.post(
    `${V2}/query`,
    { query: "FROM 'a'", order: 'asc', upperBound: { [`${'.'.repeat(43)}-0`]: 5 } },
    EVENT_STREAM,
  )
  t.same(
    parse(beyond.text).map(({ name }) => name),
    ['diagnostic', 'end'],
  )
})

void t.test('the client says with quality values what it likes best', async (t) => {
  const app = await startedApp(t)
  const cases = [
    ['text/event-stream', 'text/event-stream'],
    ['text/event-stream, */*', 'text/event-stream'],
    ['*/*', 'application/x-ndjson'],
    ['application/x-ndjson, text/event-stream', 'application/x-ndjson'],
    ['application/x-ndjson;q=0.5, text/event-stream; q=0.8', 'text/event-stream'],
    ['application/x-ndjson;q=0, */*', 'text/event-stream'],
    ['TEXT/Event-Stream;charset=utf-8', 'text/event-stream'],
  ]
  for (const [accept = '', type] of cases) {
    const { headers } = await app.post(`${V2}/query`, { query: "FROM 'a'", order: 'asc' }, { accept })
    t.equal(headers['content-type'], type, accept)
  }
  const head = await app.call(`${OWN}/subscribe?query=FROM%20'a'`, { method: 'HEAD', headers: EVENT_STREAM })
  t.same([head.status, head.headers['content-type'], head.text], [200, 'text/event-stream', ''])
})

void t.test('comments keep a silent event stream alive, and an error in its middle is its last event', async (t) => {
  const node = await startApi(t, { timers: { keepAliveMs: 20 } })
  const headers = { authorization: `Bearer ${node.token}`, ...EVENT_STREAM }
  const ask1 = (path: string, body: string, until = (_: string) => false) =>
    ask(node.url, `${V2}/${path}`, { method: 'POST', headers, body, until })
  const hasComments = (text: string): boolean => {
    const read = new SourceParser()
    return [...read.push(text)].length > 0 && read.comments > 1
  }
  const live = await ask1('subscribe', '{"query":"FROM \'a\'"}', hasComments)
  const parser = new SourceParser()
  t.equal([...parser.push(live.text)].length, 1, 'comments are no events')
  t.equal(parser.retry, 2000)
  t.ok(parser.comments > 1)
  const failed = parse((await ask1('query', '{"query":"explode","order":"asc"}')).text)
  t.match(failed.at(-1), { name: 'diagnostic', data: /"severity":"error"/ })
})

void t.test('an event stream that nobody reads is paused, and cut in the end', async (t) => {
  const node = await startApi(t, { timers: { stallMs: 50 } })
  const headers = { authorization: `Bearer ${node.token}`, ...EVENT_STREAM }
  const reading = request(`${node.url}${V2}/query`, { method: 'POST', headers })
  reading.end(JSON.stringify({ query: 'endless 100000', order: 'asc' }))
  reading.on('error', () => undefined)
  const [response] = (await once(reading, 'response')) as [IncomingMessage]
  response.on('error', () => undefined)
  while (node.events.open > 0) await new Promise((resolve) => setImmediate(resolve))
  t.equal(node.api.counters.readersCut, 1)
  response.resume()
  await new Promise((resolve) => response.on('close', resolve))
})

void t.test('an id says how far every stream was delivered, and is left out when it would be too long', (t) => {
  const node = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => encodeBase64(Buffer.from(bytes)))
  const stream = fc.tuple(node, fc.nat(1000)).map(([id, number]) => `${id}-${String(number)}`)
  const offsets = fc.array(fc.tuple(stream, fc.maxSafeNat()), { minLength: 1, maxLength: 40 })
  fc.assert(
    fc.property(offsets, offsets, (before, after) => {
      const expected = new Map<string, number>()
      for (const [id, offset] of [...before, ...after]) expected.set(id, Math.max(offset, expected.get(id) ?? 0))
      const point = new ResumePoint(new Map())
      point.pass(before)
      point.pass(after)
      const { id = '' } = point
      t.match(id, /^[\x21-\x7e]+$/)
      t.same(new Map([...parseResumeId(id)].sort()), new Map([...expected].sort()))
    }),
    { numRuns: 50 },
  )
  const point = new ResumePoint(new Map())
  t.equal(point.id, undefined)
  for (let at = 0; at < 1000; at++) {
    point.passEvent(`${encodeBase64(Buffer.alloc(32, String(at).padStart(4, '0')))}-0`, at)
    if (point.id !== undefined) t.ok(point.id.length <= 16 * 1024)
  }
  t.equal(point.id, undefined)
  t.end()
})
