import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import t from 'tap'
import { draftText } from '../../client/event-draft.js'
import { Inbox } from '../../client/inbox.js'
import { ResumePoint, type Delivery } from '../../client/resume-point.js'
import { DEFAULT_PAUSES, retryPauseMs } from '../../client/retry.js'
import { SilenceWatch } from '../../client/silence.js'
import { itemTexts, parseMessage } from '../../client/socket-message.js'
import { mayPass, passingFailure, refusalOf } from '../../client/wire-errors.js'

const stringify = (value: unknown): string => JSON.stringify(value)

t.test('the entry for browsers, and all that it loads, imports nothing but files of ours', (t) => {
  const seen = new Set<string>()
  const visit = (url: URL): void => {
    if (seen.has(url.href)) return
    seen.add(url.href)
    const code = readFileSync(fileURLToPath(url), 'utf8')
    t.notMatch(code, /\b(require|process|__dirname)\b[.(]|Buffer\.(from|alloc|concat)/, fileURLToPath(url))
    for (const [, name = ''] of code.matchAll(/^(?:import|export)\b(?:[^'"=;]*? from)? '([^']+)';?$/gm)) {
      t.match(name, /^\.\.?\//, `${fileURLToPath(url)} imports ${name}`)
      visit(new URL(name, url))
    }
    for (const [, name = ''] of code.matchAll(/\bimport\((.*?)\)/g)) t.fail(`${fileURLToPath(url)} loads ${name}`)
  }
  visit(new URL('../../client/index.js', import.meta.url))
  t.ok(seen.size > 15, 'the whole client was looked at')
  t.end()
})

t.test('the items of a message come out as they stand, however they are written', (t) => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue(), { maxLength: 8 }), fc.constantFrom(undefined, 1), (values, indent) => {
      const texts = itemTexts(JSON.stringify(values, null, indent))
      return stringify(texts.map((text) => JSON.parse(text))) === stringify(values)
    }),
  )
  t.same(itemTexts(`[{"a":1.0,"b":"]},\\"{["},-0.0]`), [`{"a":1.0,"b":"]},\\"{["}`, '-0.0'])
  t.same(itemTexts('[]'), [])
  t.same(parseMessage('{"type":"next","requestId":7,"payload":[{"n":1.50}]}'), {
    type: 'next',
    requestId: 7,
    items: '[{"n":1.50}]',
  })
  t.match(parseMessage('{"requestId":7,"type":"next","payload":[2, 3]}'), { requestId: 7, items: '[2,3]' })
  t.match(parseMessage('{"type":"complete","requestId":3}'), { type: 'complete', requestId: 3 })
  t.end()
})

t.test('an inbox delivers what it took before it was full, then says that it overran', async (t) => {
  const inbox = new Inbox()
  const batch = stringify(Array.from({ length: 128 }, () => 'x'.repeat(1000)))
  let taken = 0
  while (inbox.push(batch)) taken += 128
  t.equal(inbox.push(batch), false, 'nothing more is wanted')
  t.ok(taken * 1000 < 5e6, 'what waits is bounded')
  let got = 0
  await t.rejects(
    async () => {
      for await (const text of inbox.texts()) got += text === '' ? 0 : 1
    },
    { message: /fell behind/ },
  )
  t.equal(got, taken + 128)
  const left = new Inbox()
  left.push('[1,2,3]')
  const seen: string[] = []
  await t.rejects(
    async () => {
      for await (const text of left.texts()) {
        seen.push(text)
        left.abandon(new Error('enough'))
      }
    },
    { message: 'enough' },
  )
  t.same(seen, ['1'])
})

t.test('pauses double up to the longest, spread over half of their length', (t) => {
  const draw = (failures: number, random: number): number => retryPauseMs(failures, DEFAULT_PAUSES, random)
  t.same([draw(1, 0), draw(1, 1), draw(2, 1), draw(3, 1)], [100, 200, 400, 800])
  t.same([draw(50, 0), draw(5000, 1)], [5_000, 10_000])
  t.end()
})

const line = (value: object): Delivery => ({ text: stringify(value), line: JSON.parse(stringify(value)) })
const event = (stream: string, offset: number) => line({ type: 'event', stream, offset, payload: offset })

t.test('wherever answers break off, each event is delivered once', (t) => {
  const cuts = fc.array(fc.nat(12), { maxLength: 8 })
  const history = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 30 })
  fc.assert(
    fc.property(history, cuts, fc.nat(30), (streams, lengths, stored) => {
      const next: Record<string, number> = {}
      const events = streams.map((stream) => event(stream, (next[stream] = (next[stream] ?? -1) + 1)))
      const key = ({ line: at }: Delivery): string => ('stream' in at ? `${at.stream}/${at.offset}` : '')
      const isBeyond = ({ line: at }: Delivery, bound: Readonly<Record<string, number>>): boolean =>
        'stream' in at && at.offset > (bound[at.stream] ?? -1)
      const point = new ResumePoint('events', {})
      const delivered: string[] = []
      const take = (given: Delivery): void => {
        delivered.push(...point.take(given).map(key))
      }
      for (const length of lengths) {
        const bound = point.begin()
        // What is stored at the time in the order of streams, an offsets line, then what comes.
        const past = events.slice(0, stored).filter((one) => isBeyond(one, bound))
        const live = events.slice(stored).filter((one) => isBeyond(one, bound))
        for (const one of [...past, ...live].slice(0, length)) take(one)
      }
      const bound = point.begin()
      for (const one of events) if (isBeyond(one, bound)) take(one)
      return stringify([...delivered].sort()) === stringify(events.map(key).sort())
    }),
  )
  const point = new ResumePoint('events', { a: 3 })
  point.take(line({ type: 'offsets', offsets: { a: 2, b: 7 } }))
  t.same(point.offsets, { a: 3, b: 7 }, 'offsets of the node count as reached')
  t.end()
})

t.test('the result of an aggregation is repeated after a break only when it has changed', (t) => {
  const result = (n: number) => line({ type: 'event', stream: '0', offset: 0, payload: n })
  const offsets = line({ type: 'offsets', offsets: { a: 1 } })
  const texts = (point: ResumePoint, ...given: Delivery[]): string[] =>
    given
      .flatMap((one) => point.take(one))
      .map(({ line: at }) => ('payload' in at ? `${at.type} ${String(at.payload)}` : at.type))
  const point = new ResumePoint('aggregate', { a: 0 })
  t.same(point.begin(), { a: 0 })
  t.same(texts(point, result(1), offsets), ['event 1', 'offsets'])
  t.same(point.begin(), { a: 0 }, 'the new answer is asked for from the beginning')
  t.same(texts(point, result(1), offsets), ['offsets'], 'the same result')
  point.begin()
  t.same(texts(point, result(2), offsets), ['antiEvent 1', 'event 2', 'offsets'], 'another one')
  point.begin()
  t.same(texts(point, offsets), ['antiEvent 2', 'offsets'], 'none any more')
  point.begin()
  t.same(texts(point, offsets, result(3)), ['offsets', 'event 3'])
  t.same(texts(point, line({ type: 'antiEvent', payload: 3 })), ['antiEvent 3'])
  point.begin()
  t.same(texts(point, result(4)), ['event 4'], 'nothing stood when it broke off between withdrawal and result')
  const counted = new ResumePoint('once', {})
  t.ok(counted.canGoOn)
  counted.take(result(1))
  t.notOk(counted.canGoOn)
  t.end()
})

t.test('drafts become the JSON that goes out, or are refused', (t) => {
  t.equal(draftText({ tags: ['a"b'], payload: { x: [1] } }), '{"tags":["a\\"b"],"payload":{"x":[1]}}')
  t.equal(draftText({ tags: [], payloadText: '1.50' }), '{"tags":[],"payload":1.50}')
  t.equal(draftText('{"tags":[],"payload":null}'), '{"tags":[],"payload":null}')
  const loop: unknown[] = []
  loop.push(loop)
  t.throws(() => draftText({ tags: [], payloadText: '1},{"tags":[],"payload":2' }), { code: 'ERR_JSON_INVALID' })
  for (const payload of [undefined, () => 1, 10n, loop]) {
    t.throws(() => draftText({ tags: [], payload }), { code: 'ERR_JSON_INVALID' })
  }
  t.end()
})

t.test('errors over a WebSocket are those of HTTP, and only those that may pass are tried again', (t) => {
  const texts: readonly (readonly [string, number])[] = [
    ['Invalid request.  --> 1:6', 400],
    ['Query bounds out of range: upper bound must be within the known present.', 400],
    ['The query uses beta features that are not enabled: aggregate.', 400],
    ['Feature `limit` is not supported on endpoint `SubscribeMonotonic`.', 418],
    ['Payload too large (3 > 2).', 413],
    ['Service shutting down.', 503],
    ['Channel towards event store is overloaded.', 503],
    ['the disk is full', 503],
  ]
  for (const [value, status] of texts) t.match(refusalOf({ type: 'serviceError', value }), { status, message: value })
  t.match(refusalOf({ type: 'badRequest', message: 'm' }), { status: 400, message: 'm' })
  t.match(refusalOf({ type: 'unknownEndpoint' }), { status: 404 })
  t.match(refusalOf({ type: 'internalError' }), { status: 500 })
  t.ok(mayPass(refusalOf({ type: 'serviceError', value: 'Service shutting down.' })))
  t.notOk(mayPass(refusalOf({ type: 'serviceError', value: 'Invalid request. x' })))
  t.notOk(mayPass(new Error('x')))
  t.match(passingFailure('Service shutting down.'), { wireCode: 'ERR_SHUTTING_DOWN' })
  t.match(passingFailure('Service overloaded. The disk is full.'), { wireCode: 'ERR_SERVICE_OVERLOADED' })
  t.equal(passingFailure('the query is too complex'), undefined)
  t.end()
})

t.test('silence is noticed while something is expected, not while the reader is busy', async (t) => {
  let silences = 0
  const watch = new SilenceWatch(20, () => (silences += 1))
  const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
  async function* chunks() {
    yield new Uint8Array(1)
    yield new Uint8Array(2)
  }
  for await (const chunk of watch.over(chunks())) {
    t.ok(chunk.length > 0)
    await wait(60)
  }
  t.equal(silences, 0)
  await wait(60)
  t.equal(silences, 1, 'the end of the chunks was still expected')
  watch.expect()
  watch.rest()
  await wait(40)
  t.equal(silences, 1)
})
