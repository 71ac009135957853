import fc from 'fast-check'
import t from 'tap'
import { compareStreamIds, streamIdOf, type EventBatch, type EventOrder } from '../../core/index.js'
import { buildLines, lineCount, sliceLines, type Lines } from '../../storage/lines.js'
import { mergeStreams, type StreamSource } from '../../storage/merge-streams.js'
import { batchOf } from '../../storage/positions.js'
import { OTHER_NODE, OWN_NODE } from './arbitrary-lines.js'

/** Lamports of each stream, rising, and lengths of batches to cut them into. */
const someStreams = fc
  .array(
    fc.record({
      steps: fc.array(fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 40 })), { maxLength: 60, size: 'max' }),
      cuts: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
      skip: fc.nat(3),
    }),
    { maxLength: 6 },
  )
  .map((streams) =>
    streams.map(({ steps, cuts, skip }, number) => {
      let lamport = 0
      const lines = buildLines({
        // The numbers 9 and 10 tell order as numbers from order as text.
        stream: streamIdOf(number % 2 === 0 ? OWN_NODE : OTHER_NODE, 8 + number),
        firstOffset: 0,
        lamports: Float64Array.from(steps, (step) => (lamport += step)),
        timestamps: new Float64Array(steps.length),
        events: steps.map(() => ({ tags: [], appId: 'a', payload: Buffer.from('1') })),
      })
      return { lines, cuts, skip }
    }),
  )

interface Watched extends StreamSource {
  readonly state: { readonly opened: boolean; readonly closed: boolean }
}

/** Batches of a stream in the order asked for, some of them with a choice among their lines. */
function sourceOf(lines: Lines, cuts: readonly number[], skip: number, order: 'asc' | 'desc'): Watched {
  const batches: EventBatch[] = []
  for (let from = 0, at = 0; from < lineCount(lines); at++) {
    const to = Math.min(lineCount(lines), from + cuts[at % cuts.length]!)
    const chosen = Uint32Array.from({ length: to - from }, (_, line) => line).filter(
      (line) => (from + line) % 4 !== skip,
    )
    const batch = batchOf(sliceLines(lines, from, to), chosen.length === 0 ? 'none' : chosen, order)
    if (batch !== undefined) batches.push(batch)
    from = to
  }
  if (order === 'desc') batches.reverse()
  const state = { opened: false, closed: false }
  async function* deliver(): AsyncGenerator<EventBatch> {
    state.opened = true
    try {
      for (const batch of batches) yield await Promise.resolve(batch)
    } finally {
      state.closed = true
    }
  }
  return { stream: lines.stream, batches: deliver(), state }
}

type Key = [lamport: number, stream: string, offset: number]

function keysOf(batch: EventBatch): Key[] {
  return Array.from({ length: batch.length }, (_, at) => batch.event(at)).map((event) => [
    event.lamport,
    event.stream,
    event.offset,
  ])
}

async function collect(sources: readonly StreamSource[], order: EventOrder): Promise<Key[]> {
  const keys: Key[] = []
  for await (const batch of mergeStreams(sources, order)) {
    if (batch.length === 0) throw new Error('an empty batch')
    keys.push(...keysOf(batch))
  }
  return keys
}

const byKey = (a: Key, b: Key) => a[0] - b[0] || compareStreamIds(a[1], b[1])

t.test('merging gives all events sorted by key, and exactly the reverse for desc', async (t) => {
  await fc.assert(
    fc.asyncProperty(someStreams, async (streams) => {
      const open = (order: 'asc' | 'desc') => streams.map(({ lines, cuts, skip }) => sourceOf(lines, cuts, skip, order))
      const sorted: Key[] = streams
        .flatMap(({ lines, skip }) =>
          [...lines.lamports]
            .map((lamport, at): Key => [lamport, lines.stream, at])
            .filter(([, , at]) => at % 4 !== skip),
        )
        .sort(byKey)
      const sources = open('asc')
      t.same(await collect(sources, 'asc'), sorted)
      t.ok(sources.every(({ state }) => state.closed))
      t.same(await collect(open('desc'), 'desc'), [...sorted].reverse())
      const grouped = await collect(open('asc'), 'stream-asc')
      t.same(
        grouped,
        streams.flatMap(({ lines }) => sorted.filter(([, stream]) => stream === lines.stream)),
      )
    }),
    { numRuns: 150 },
  )
})

t.test('a reader that stops early closes every source that was opened', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      someStreams,
      fc.constantFrom('asc', 'desc', 'stream-asc'),
      fc.nat(10),
      async (streams, order, stop) => {
        const direction = order === 'desc' ? 'desc' : 'asc'
        const sources = streams.map(({ lines, cuts, skip }) => sourceOf(lines, cuts, skip, direction))
        let left = stop
        for await (const batch of mergeStreams(sources, order)) {
          if (batch.length === 0 || left-- === 0) break
        }
        for (const { state } of sources) if (state.opened && !state.closed) t.fail('a source was left open')
      },
    ),
  )
})

t.test('a stream alone, or apart from the others, passes through without being cut', async (t) => {
  const make = (number: number, first: number) =>
    buildLines({
      stream: streamIdOf(OWN_NODE, number),
      firstOffset: 0,
      lamports: Float64Array.from({ length: 100 }, (_, at) => first + at),
      timestamps: new Float64Array(100),
      events: Array.from({ length: 100 }, () => ({ tags: [], appId: 'a', payload: Buffer.from('1') })),
    })
  const batches = [make(0, 1), make(1, 101), make(2, 201)].map((lines) => batchOf(lines, 'all', 'asc')!)
  const sources = batches.map((batch) => ({
    stream: batch.stream,
    batches: (async function* () {
      yield await Promise.resolve(batch)
    })(),
  }))
  const seen: EventBatch[] = []
  for await (const batch of mergeStreams(sources, 'asc')) seen.push(batch)
  t.equal(seen.length, 3)
  seen.forEach((batch, at) => t.equal(batch, batches[at]))
})

for (const order of ['asc', 'desc', 'stream-asc'] as const) {
  t.test(`a failing source fails the ${order} merge and closes the others, with no rejection left over`, async (t) => {
    const lines = (number: number) =>
      buildLines({
        stream: streamIdOf(OWN_NODE, number),
        firstOffset: 0,
        lamports: Float64Array.from([1, 2, 3]),
        timestamps: new Float64Array(3),
        events: [1, 2, 3].map(() => ({ tags: [], appId: 'a', payload: Buffer.from('1') })),
      })
    const good = sourceOf(lines(0), [1], 3, order === 'desc' ? 'desc' : 'asc')
    const bad: StreamSource = {
      stream: streamIdOf(OWN_NODE, 1),
      batches: (async function* () {
        yield await Promise.resolve(batchOf(lines(1), 'all', order === 'desc' ? 'desc' : 'asc')!)
        throw new Error('disk')
      })(),
    }
    await t.rejects(collect([good, bad], order), { message: 'disk' })
    t.equal(good.state.closed, good.state.opened)
    const early = mergeStreams([bad, good], order)
    await early.next()
    await early.return(undefined)
  })
}
