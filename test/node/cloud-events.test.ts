import fc from 'fast-check'
import t from 'tap'
import { startDaemon } from '../../node/index.js'
import { App } from '../support/app.js'
import { ask, linesOf } from '../support/ask.js'
import { daemonSettings, silentLogger } from '../support/daemon-settings.js'
import { SourceParser } from '../support/event-source.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const V2 = '/api/v2/events'
const LINES = { accept: 'application/cloudevents+json' }
const BATCH = { accept: 'application/cloudevents-batch+json' }

type Tap = Pick<typeof t, 'same'>

type CloudEvent = Readonly<Record<string, unknown>>

const RFC_3339 =
  /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?(Z|[+-]\d{2}:\d{2})$/
const URI_REFERENCE = /^([A-Za-z][A-Za-z0-9+.-]*:)?(%[0-9A-Fa-f]{2}|[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=])+$/
const FORBIDDEN = /[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u

/** What CloudEvents 1.0.2 and its JSON format demand of an event, rule by rule. @returns the rules that it breaks */
function faultsOf(event: CloudEvent): string[] {
  const faults: string[] = []
  const check = (rule: string, holds: boolean): void => {
    if (!holds) faults.push(rule)
  }
  const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''
  const { id, source, specversion, type, datacontenttype, subject, time } = event
  check('id: non-empty string', isText(id))
  check('source: non-empty URI-reference', isText(source) && URI_REFERENCE.test(source))
  check('specversion: 1.0', specversion === '1.0')
  check('type: non-empty string', isText(type))
  check('datacontenttype: media type', datacontenttype === undefined || datacontenttype === 'application/json')
  check('subject: non-empty string', subject === undefined || isText(subject))
  check(
    'time: RFC 3339',
    time === undefined || (isText(time) && RFC_3339.test(time) && !Number.isNaN(Date.parse(time))),
  )
  check('data and data_base64 exclude each other', !('data_base64' in event))
  for (const [name, value] of Object.entries(event)) {
    if (name === 'data') continue
    check(`${name}: lower-case letters and digits`, /^[a-z0-9]+$/.test(name))
    check(`${name}: at most 20 characters`, name.length <= 20)
    const isInteger = typeof value === 'number' && Number.isInteger(value) && Math.abs(value) < 2 ** 31
    check(`${name}: a type of the type system`, typeof value === 'boolean' || typeof value === 'string' || isInteger)
    if (typeof value === 'string') check(`${name}: no forbidden characters`, !FORBIDDEN.test(value))
  }
  return faults
}

async function startedApp(t: { teardown: (work: () => unknown) => void }): Promise<App> {
  const settings = daemonSettings(temporaryDirectory(t))
  const daemon = await startDaemon({ settings, logger: silentLogger, version: '0.0.0' })
  t.teardown(() => daemon.close())
  return App.at(daemon.addresses.api[0] ?? '')
}

/** The answer of a query as CloudEvents, all of them found to keep the rules. */
async function query(t: Tap, app: App, text: string): Promise<CloudEvent[]> {
  const reply = await app.post(`${V2}/query`, { query: text, order: 'asc' }, LINES)
  const events = linesOf(reply.text).map((line) => JSON.parse(line) as CloudEvent)
  for (const event of events) t.same(faultsOf(event), [], JSON.stringify(event))
  t.same(new Set(events.map(({ source, id }) => `${String(source)} ${String(id)}`)).size, events.length, 'all distinct')
  return events
}

void t.test('stored events keep source and id, and bring everything along', async (t) => {
  const app = await startedApp(t)
  const [first] = await app.publish([['machine:7', 'b'], { on: true }], [[], null], [['b'], [1]])
  const [event, second, , offsets, ...rest] = await query(t, app, 'FROM allEvents')
  t.same(rest, [])
  const { stream, lamport, timestamp } = first as { stream: string; lamport: number; timestamp: number }
  t.same(event, {
    specversion: '1.0',
    id: '0',
    source: `millrace:${stream.replaceAll('/', '%2F')}`,
    type: 'com.example.test.event',
    time: (event as { time: string }).time,
    subject: 'b',
    tags: '["b","machine:7"]',
    appid: 'com.example.test',
    lamport: String(lamport),
    datacontenttype: 'application/json',
    data: { on: true },
  })
  const time = String(event?.['time'])
  t.equal(Date.parse(time) * 1000 + Number(time.slice(-4, -1)), timestamp, 'not a microsecond is lost')
  t.equal(decodeURIComponent(String(event?.['source'])), `millrace:${stream}`)
  t.match(second, { id: '1', tags: '[]', data: null })
  t.notOk('subject' in (second ?? {}))
  t.match(offsets, { type: 'millrace.offsets', data: { offsets: { [stream]: 2 } } })
  const again = await query(t, app, "FROM 'b'")
  t.same(again[0], event, 'in another answer it is the same event')
})

void t.test('rows of one event, aggregates and diagnostics have ids of their own', async (t) => {
  const app = await startedApp(t)
  const at = await app.publish([['a'], 1], [['a'], 2])
  const two = await query(t, app, "FEATURES(multiEmission) FROM 'a' SELECT _, _ * 10")
  t.same(
    two.slice(0, 4).map(({ id, data }) => [id, data]),
    [
      ['0', 1],
      ['0/1', 10],
      ['1', 2],
      ['1/1', 20],
    ],
  )
  const [sum] = await query(t, app, "FEATURES(aggregate) FROM 'a' AGGREGATE SUM(_)")
  const key = ({ lamport, stream, offset }: Record<string, unknown>): string =>
    `${String(lamport)}/${String(stream)}/${String(offset)}`
  t.match(sum, { type: 'millrace.event', data: 3, fromkey: key(at[0] ?? {}), tokey: key(at[1] ?? {}) })
  t.equal(sum?.['time'], sum?.['totime'])
  const [warning] = await query(t, app, "FROM 'a' SELECT _.x")
  t.match(warning, { type: 'millrace.diagnostic', data: { severity: 'warning' } })
  const live = await app.call(`${V2}/subscribe`, {
    method: 'POST',
    body: JSON.stringify({ query: "FEATURES(aggregate) FROM 'a' AGGREGATE SUM(_)" }),
    headers: LINES,
    lines: 2,
  })
  t.equal(live.headers['content-type'], 'application/cloudevents+json')
  t.equal((JSON.parse(linesOf(live.text)[0] ?? '') as CloudEvent)['data'], 3)
})

void t.test('whatever the tags and payloads, the events keep the rules and nothing is lost', async (t) => {
  const app = await startedApp(t)
  const odd = ['\u0000', '\u0085', '\ufffe', '\u{1ffff}', '😀', '"', '\\', ',"payload":', 'é', ' ', '\ufdd0']
  const text = fc.array(fc.oneof(fc.constantFrom(...odd), fc.string({ unit: 'grapheme' })), {
    minLength: 1,
    maxLength: 5,
  })
  const tag = text.map((parts) => parts.join('').normalize('NFC')).filter((joined) => joined !== '')
  const events = fc.array(fc.tuple(fc.array(tag, { maxLength: 3 }), fc.jsonValue({ maxDepth: 2 })), {
    minLength: 21,
    maxLength: 30,
  })
  const [sample = []] = fc.sample(events, 1)
  await app.publish(...sample)
  const plain = linesOf((await app.post(`${V2}/query`, { query: 'FROM allEvents', order: 'asc' })).text).slice(0, -1)
  const mapped = (await query(t, app, 'FROM allEvents')).slice(0, -1)
  t.equal(mapped.length, sample.length)
  for (const [index, line] of plain.entries()) {
    const { tags, payload } = JSON.parse(line) as { tags: string[]; payload: unknown }
    t.same(JSON.parse(String(mapped[index]?.['tags'])), tags)
    t.same(mapped[index]?.['data'], payload)
  }
  const digits = '[12345678901234567890,1.0,-0.0,9007199254740993]'
  await app.post(`${V2}/publish`, `{"data":[{"tags":["digits"],"payload":${digits}}]}`)
  const { text: exact } = await app.post(`${V2}/query`, { query: "FROM 'digits'", order: 'asc' }, LINES)
  t.ok(exact.includes(`"data":${digits}}`), 'digit for digit')
})

void t.test('a batch is one JSON array, and only for answers that end', async (t) => {
  const app = await startedApp(t)
  await app.publish(...Array.from({ length: 2000 }, (_, at) => [['a'], 'x'.repeat(at % 300)] as const))
  const reply = await app.post(`${V2}/query`, { query: "FROM 'a'", order: 'asc' }, BATCH)
  t.equal(reply.headers['content-type'], 'application/cloudevents-batch+json')
  const events = JSON.parse(reply.text) as CloudEvent[]
  t.equal(events.length, 2001)
  t.same(
    events.flatMap((event) => faultsOf(event)),
    [],
  )
  const none = await app.post(`${V2}/query`, { query: "FROM 'none'", order: 'asc', upperBound: {} }, BATCH)
  t.match(JSON.parse(none.text), [{ type: 'millrace.offsets', data: { offsets: {} } }])
  t.equal((await app.post(`${V2}/subscribe`, { query: "FROM 'a'" }, BATCH)).status, 406)
})

void t.test('the parameter format has CloudEvents inside event streams and NDJSON', async (t) => {
  const app = await startedApp(t)
  await app.publish([['a'], 1])
  const path = '/api/millrace/v1/events/query'
  const get = (parameters: Record<string, string>, accept: string) =>
    ask(app.url, app.link(path, { query: "FROM 'a'", ...parameters }).slice(app.url.length), { headers: { accept } })
  const stream = await get({ format: 'cloudevents' }, 'text/event-stream')
  const [event, offsets, end] = [...new SourceParser().push(stream.text)]
  t.match(event, { name: 'event', id: /:0=0$/ })
  t.match(offsets, { name: 'offsets' })
  t.match(end, { name: 'end' })
  t.same(faultsOf(JSON.parse(event?.data ?? '') as CloudEvent), [])
  const lines = await get({ format: 'cloudevents' }, 'application/x-ndjson')
  t.equal(lines.headers['content-type'], 'application/x-ndjson')
  t.match(JSON.parse(linesOf(lines.text)[0] ?? ''), { specversion: '1.0', data: 1 })
  t.equal((await get({ format: 'xml' }, '*/*')).status, 400)
})
