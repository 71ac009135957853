import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { buildEvent } from '../../cli/publish/event-builder.js'
import { LineQueue } from '../../cli/publish/line-queue.js'
import { publishLines, type PublishLinesOptions } from '../../cli/publish/publish-lines.js'
import { ResumeFile, type Progress } from '../../cli/publish/resume-file.js'
import { parseTagTemplates } from '../../cli/publish/tag-template.js'
import {
  NodeUnreachableError,
  RequestRefusedError,
  splitLineBytes,
  type Client,
  type EventDraft,
} from '../../client/index.js'

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
const plain = { tags: ['x'], templates: [], isEnvelope: false }
const envelope = { ...plain, isEnvelope: true }

t.test('tags are made of fields and templates', async (t) => {
  const tags = (spec: string, payload: unknown) => parseTagTemplates(spec).flatMap((template) => template(payload))
  const payload = { carrier: 'AA', n: 7, ok: true, plane: { type: '737' }, stops: ['a', 'b'], none: null, empty: '' }
  t.same(tags('carrier', payload), ['carrier:AA'])
  t.same(tags('carrier, n,ok,plane.type', payload), ['carrier:AA', 'n:7', 'ok:true', 'plane.type:737'])
  t.same(tags('flight:{carrier}-{n}', payload), ['flight:AA-7'])
  t.same(tags('{stops}/{carrier}', payload), ['a/AA', 'b/AA'], 'a list gives one tag for each element')
  t.same(
    tags('none,empty,missing,plane,plane.none.deeper,toString,__proto__', payload),
    [],
    'what is no value gives none',
  )
  t.same(tags('fix{missing}', payload), [])
  t.same(tags('carrier', 'text'), [])
})

t.test('payloads keep their text, digit for digit', async (t) => {
  t.equal(buildEvent(utf8('12345678901234567890.00'), plain), '{"tags":["x"],"payload":12345678901234567890.00}')
  t.equal(
    buildEvent(utf8('{"tags":["b","x"],"payload":{"a":1.50,"a":2},"other":1}'), envelope),
    '{"tags":["x","b"],"payload":{"a":1.50,"a":2}}',
  )
  t.equal(buildEvent(utf8('{"payload":null}'), envelope), '{"tags":["x"],"payload":null}')
  for (const text of ['', '{', '1 2', '{"a":1}}', '"\\ud800"', '1e400', 'nul', '\ufeff1']) {
    t.throws(() => buildEvent(utf8(text), plain), { code: 'ERR_JSON_INVALID' }, JSON.stringify(text))
  }
  t.throws(() => buildEvent(new Uint8Array([0x22, 0xff, 0x22]), plain), { message: 'not UTF-8' })
  const noTags = [
    '1',
    '{"tags":["a"]}',
    '{"tags":"a","payload":1}',
    '{"tags":[""],"payload":1}',
    '{"tags":[1],"payload":1}',
  ]
  for (const text of noTags) t.throws(() => buildEvent(utf8(text), envelope), { code: 'ERR_JSON_INVALID' }, text)
})

t.test('lines come out as they went in, however the chunks fall', async () => {
  const line = fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\n', ' '))
  const decode = (bytes: Uint8Array): string => new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
  await fc.assert(
    fc.asyncProperty(fc.array(line), fc.integer({ min: 1, max: 8 }), async (lines, size) => {
      const bytes = utf8(lines.map((text) => `${text}\n`).join(''))
      async function* chunks(): AsyncGenerator<Uint8Array> {
        for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
      }
      const out: string[] = []
      for await (const got of splitLineBytes(chunks())) out.push(decode(got))
      return JSON.stringify(out) === JSON.stringify(lines.map((text) => decode(utf8(text))))
    }),
    { numRuns: 100 },
  )
})

type Outcome = 'ok' | 'lost' | 'busy' | 'refused' | 'stored-but-lost'

/** A node that does with each request what the test wants; keeps what it stored. */
function fakeClient(outcomes: readonly Outcome[]): { readonly stored: string[]; readonly client: Client } {
  const stored: string[] = []
  let calls = 0
  const publish = async (events: readonly string[]): Promise<never[]> => {
    const outcome = outcomes[calls++] ?? 'ok'
    if (outcome === 'ok' || outcome === 'stored-but-lost') stored.push(...events)
    if (outcome === 'refused') throw new RequestRefusedError(400, 'ERR_BAD_REQUEST', 'no')
    if (outcome === 'busy') throw new RequestRefusedError(503, 'ERR_SERVICE_OVERLOADED', 'busy')
    if (outcome !== 'ok') throw new NodeUnreachableError('gone', { neverSent: false })
    return []
  }
  return { stored, client: { publish } as unknown as Client }
}

async function* textInput(text: string): AsyncGenerator<Uint8Array> {
  yield utf8(text)
}

const linesOf = (count: number) => textInput(Array.from({ length: count }, (_, at) => `${String(at + 1)}\n`).join(''))
const numbers = (stored: readonly string[]): number[] => stored.map((text) => JSON.parse(text).payload)

function options(
  over: Partial<PublishLinesOptions>,
): PublishLinesOptions & { again: string[]; remembered: Progress[] } {
  const again: string[] = []
  const remembered: Progress[] = []
  return {
    again,
    remembered,
    client: fakeClient([]).client,
    openChannel: () => ({
      publish: () => Promise.reject(new NodeUnreachableError('no WebSocket', { neverSent: true })),
      close: () => undefined,
    }),
    input: linesOf(10),
    build: (line) => buildEvent(line, { tags: [], templates: [], isEnvelope: false }),
    batch: 4,
    retryMs: 60_000,
    from: { source: 's', acknowledgedLines: 0, sentLines: 0 },
    signal: new AbortController().signal,
    remember: async (progress) => {
      remembered.push(progress)
    },
    onSentAgain: async (first, last) => {
      again.push(`${String(first)}-${String(last)}`)
    },
    onAcknowledged: () => undefined,
    ...over,
  }
}

t.test('every line is published once and in order', async (t) => {
  const { stored, client } = fakeClient([])
  const given = options({ client })
  const totals = await publishLines(given)
  t.same(numbers(stored), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  t.match(totals, { events: 10, lines: 10 })
  t.same(given.remembered.at(-1), { source: 's', acknowledgedLines: 10, sentLines: 10 })
  const isAhead = given.remembered.every(
    (progress, at) => at % 2 === 1 || progress.sentLines > progress.acknowledgedLines,
  )
  t.ok(isAhead, 'each request is on record before it is sent')
})

t.test('a lost answer is sent again and that is said; a busy node is waited for in silence', async (t) => {
  const { stored, client } = fakeClient(['busy', 'stored-but-lost', 'ok'])
  const given = options({ client, input: linesOf(3) })
  await publishLines(given)
  t.equal(given.again.length, 1)
  t.same([...new Set(numbers(stored))], [1, 2, 3])
})

t.test('a later call goes on after the last acknowledged line, and says what goes out again', async (t) => {
  const { stored, client } = fakeClient([])
  const given = options({ client, from: { source: 's', acknowledgedLines: 4, sentLines: 8 } })
  t.match(await publishLines(given), { events: 6, lines: 10 })
  t.same(numbers(stored), [5, 6, 7, 8, 9, 10])
  t.same(given.again, ['5-8'])
  const done = options({ from: { source: 's', acknowledgedLines: 10, sentLines: 10 } })
  t.match(await publishLines(done), { events: 0, lines: 10 })
  t.same(done.again, [])
})

t.test('a refusal ends it and names the lines', async (t) => {
  const refused = options({ client: fakeClient(['refused']).client })
  await t.rejects(publishLines(refused), { code: 'ERR_REQUEST_REFUSED', message: /^lines? 1( to \d+)?: no$/ })
  const lost = options({ client: fakeClient(['lost']).client, retryMs: 0 })
  await t.rejects(publishLines(lost), {
    code: 'ERR_NODE_UNREACHABLE',
    message: /whether they were stored is not known/,
  })
})

t.test('a bad line ends it after the good ones before it', async (t) => {
  const { stored, client } = fakeClient([])
  const bad = options({ client, input: textInput('1\n\n2\r\n{bad\n4\n') })
  await t.rejects(publishLines(bad), { code: 'ERR_JSON_INVALID', message: /^line 4: / })
  t.same(numbers(stored), [1, 2])
})

t.test('a signal ends it after the requests under way', async (t) => {
  const stop = new AbortController()
  const { stored, client } = fakeClient([])
  const onAcknowledged = ({ events }: { events: number }): void => {
    if (events === 2) stop.abort()
  }
  const { events, lines } = await publishLines(options({ client, signal: stop.signal, batch: 1, onAcknowledged }))
  t.ok(events >= 2 && events < 10, String(events))
  t.equal(lines, events)
  t.same(
    numbers(stored),
    Array.from({ length: events }, (_, at) => at + 1),
  )
})

/** A connection on which requests are answered at the word of the test. */
function heldChannel(stored: string[]) {
  const held: { readonly events: readonly string[]; readonly answer: (error?: Error) => void }[] = []
  const publish = (events: readonly EventDraft[]): Promise<never[]> =>
    new Promise((resolve, reject) => {
      const answer = (error?: Error): void => {
        if (error === undefined) {
          stored.push(...events.map(String))
          resolve([])
        } else reject(error)
      }
      held.push({ events: events.map(String), answer })
    })
  return { held, openChannel: () => ({ publish, close: () => undefined }) }
}

t.test(
  'a bounded number of requests is under way, acknowledged in order whatever the order of the answers',
  async (t) => {
    const { stored, client } = fakeClient([])
    const { held, openChannel } = heldChannel(stored)
    const given = options({ client, openChannel, batch: 1 })
    const publishing = publishLines(given)
    const until = async (count: number): Promise<void> => {
      while (held.length < count) await new Promise(setImmediate)
    }
    const settle = async (): Promise<void> => {
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
    }
    await until(3)
    await settle()
    t.ok(held.length <= 4, 'what is under way is bounded')
    t.same(numbers(held.flatMap(({ events }) => events)).slice(0, 3), [2, 3, 4])
    for (const { answer } of held.slice(1)) answer()
    await settle()
    t.equal(given.remembered.at(-1)?.acknowledgedLines, 1, 'a gap is not passed over')
    held[0]?.answer()
    for (let next = held.length; next < 9; next++) {
      await until(next + 1)
      held[next]?.answer()
    }
    t.match(await publishing, { events: 10, lines: 10 })
    t.same(given.again, [])
    t.same(given.remembered.at(-1), { source: 's', acknowledgedLines: 10, sentLines: 10 })
  },
)

t.test('whatever becomes of requests, every line is stored, and none twice without a word', async (t) => {
  const outcome = fc.constantFrom<Outcome>('ok', 'ok', 'ok', 'lost', 'busy', 'stored-but-lost')
  await fc.assert(
    fc.asyncProperty(fc.array(outcome, { maxLength: 12 }), fc.integer({ min: 1, max: 3 }), async (outcomes, batch) => {
      const { stored, client } = fakeClient([])
      const channel = fakeClient(outcomes)
      const openChannel = () => ({
        publish: async (events: readonly EventDraft[]) => {
          try {
            return await channel.client.publish(events)
          } finally {
            stored.push(...channel.stored.splice(0))
          }
        },
        close: () => undefined,
      })
      const given = options({ client, openChannel, batch })
      const { events } = await publishLines(given)
      const times = Array.from({ length: 10 }, (_, at) => numbers(stored).filter((line) => line === at + 1).length)
      const announced = times.map((_, at) => given.again.some((range) => isWithin(range, at + 1)))
      const isTold = times.every((count, at) => count === 1 || (count === 2 && announced[at] === true))
      const acknowledged = given.remembered.map(({ acknowledgedLines }) => acknowledgedLines)
      const rises = acknowledged.every((line, at) => line >= (acknowledged[at - 1] ?? 0))
      return events === 10 && isTold && rises && acknowledged.at(-1) === 10
    }),
    { numRuns: 200 },
  )
  t.pass()
})

function isWithin(range: string, line: number): boolean {
  const [first, last] = range.split('-').map(Number)
  return first !== undefined && last !== undefined && line >= first && line <= last
}

t.test('a refusal of one request waits for those beside it, and names its lines', async (t) => {
  const { stored, client } = fakeClient(['ok', 'refused'])
  const { held, openChannel } = heldChannel(stored)
  const publishing = publishLines(options({ client, openChannel, batch: 1, input: linesOf(3) }))
  while (held.length < 2) await new Promise(setImmediate)
  held[0]?.answer(new RequestRefusedError(400, 'ERR_BAD_REQUEST', 'no'))
  held[1]?.answer()
  await t.rejects(publishing, { code: 'ERR_REQUEST_REFUSED', message: 'line 2: no' })
  t.same(numbers(stored), [1, 3])
})

t.test('the queue hands everything on, in order, within its bounds', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(5), { maxLength: 60 }), fc.integer({ min: 1, max: 9 }), async (sizes, most) => {
      const queue = new LineQueue()
      const events = sizes.map((size, at) => ({ line: at + 1, text: 'x'.repeat(size) }))
      const pushing = (async () => {
        for (const event of events) await queue.push(event)
        queue.end()
      })()
      const out: number[] = []
      for (;;) {
        const taken = await queue.take(most, 7)
        if (taken.length === 0) break
        if (taken.length > most) return false
        out.push(...taken.map(({ line }) => line))
      }
      await pushing
      return out.join() === events.map(({ line }) => line).join()
    }),
    { numRuns: 100 },
  )
  const full = new LineQueue()
  const big = { line: 1, text: 'x'.repeat(17 * 1024 * 1024) }
  let wentOn = false
  const held = full.push(big).then((more) => {
    wentOn = true
    return more
  })
  await new Promise(setImmediate)
  t.notOk(wentOn, 'the reader waits while too much is queued')
  await full.take(10, 1)
  t.equal(await held, true)
  full.end()
  t.equal(await full.push(big), false, 'nothing is wanted after the end')
})

t.test('a resume file is kept whole and belongs to one input', async (t) => {
  const path = join(t.testdir(), 'progress')
  const file = new ResumeFile(path)
  t.same(await file.read('a'), { source: 'a', acknowledgedLines: 0, sentLines: 0 })
  await file.write({ source: 'a', acknowledgedLines: 5, sentLines: 7 })
  t.same(await file.read('a'), { source: 'a', acknowledgedLines: 5, sentLines: 7 })
  await t.rejects(file.read('b'), { code: 'ERR_USAGE', message: /about a, not about b/ })
  for (const text of ['', 'x', '{}', '{"source":"a","acknowledgedLines":-1,"sentLines":0}']) {
    writeFileSync(path, text)
    await t.rejects(file.read('a'), { message: /no progress/ }, JSON.stringify(text))
  }
})
