import fc from 'fast-check'
import t from 'tap'
import type { EventOrder, OffsetMap, TagSelection } from '../../core/index.js'
import { KEEP_EVERYTHING } from '../../storage/index.js'
import {
  event,
  openTestStore,
  plainEvents,
  publish,
  until,
  type OpenedStore,
  type PlainEvent,
} from '../support/store.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

/** What a store must behave like: all events ever published, in order, and how many of a stream must be left at least. */
interface Model {
  readonly events: PlainEvent[]
  /** By stream number. */
  readonly keep: Map<number, number>
}

interface Real {
  readonly path: string
  opened: OpenedStore
}

type Command = fc.AsyncCommand<Model, Real>

const NAMES = ['default', 'x', 'y']
const numberOf = (stream: string) => Number(stream.split('-').at(-1))

/** Numbers from 0 up to below `max`. */
const upTo = (max: number) => fc.nat(max - 1)

class Publish implements Command {
  readonly requests: readonly (readonly { stream: number; tag: number }[])[]
  constructor(requests: readonly (readonly { stream: number; tag: number }[])[]) {
    this.requests = requests
  }
  check = () => true
  async run(model: Model, { opened: { store } }: Real): Promise<void> {
    const asked = this.requests.map((request) =>
      request.map(({ stream, tag }, at) => ({ payload: { at, tag }, tags: ['all', `tag:${String(tag)}`], stream })),
    )
    const answers = await Promise.all(
      asked.map((request, at) =>
        publish(
          store,
          request.map(({ payload, tags, stream }) => event(payload, tags, stream)),
          1_000 + at,
        ),
      ),
    )
    answers.forEach((publications, request) => {
      publications.forEach((publication, at) => {
        const { payload, tags } = asked[request]?.[at] ?? { payload: {}, tags: [] }
        model.events.push({ ...publication, tags, appId: 'com.example.test', payload })
      })
    })
    // Requests made at the same time are committed in the order of the calls.
    model.events.forEach(({ lamport, stream, offset }, at) => {
      if (lamport !== at) throw new Error(`lamport ${String(lamport)} is the ${String(at)}-th event`)
      const before = model.events.slice(0, at).filter((each) => each.stream === stream).length
      if (offset !== before) throw new Error(`offset ${String(offset)} is the ${String(before)}-th of its stream`)
    })
  }
  toString = () => `publish ${JSON.stringify(this.requests.map((request) => request.length))}`
}

class Restart implements Command {
  readonly maxEvents: number
  constructor(maxEvents: number) {
    this.maxEvents = maxEvents
  }
  check = () => true
  async run(_model: Model, real: Real): Promise<void> {
    await real.opened.close()
    real.opened = await openTestStore(real.path, { block: { maxEvents: this.maxEvents, maxBytes: 500 } })
    const numbers = await real.opened.store.registerStreams(NAMES)
    if (![...numbers.values()].every((number, at) => number === at)) throw new Error('names have other numbers')
    if (!real.opened.store.health.writable) throw new Error(real.opened.store.health.problems.join())
  }
  toString = () => `restart with blocks of ${String(this.maxEvents)}`
}

class Limit implements Command {
  readonly stream: number
  readonly maxEvents: number
  constructor(stream: number, maxEvents: number) {
    this.stream = stream
    this.maxEvents = maxEvents
  }
  check = () => true
  async run(model: Model, { opened: { store } }: Real): Promise<void> {
    store.setRetention(new Map([[NAMES[this.stream] ?? '', { ...KEEP_EVERYTHING, maxEvents: this.maxEvents }]]))
    const before = model.keep.get(this.stream) ?? Infinity
    model.keep.set(this.stream, Math.min(before, this.maxEvents))
    await Promise.resolve()
  }
  toString = () => `keep ${String(this.maxEvents)} of stream ${String(this.stream)}`
}

class Settle implements Command {
  check = () => true
  async run(_model: Model, { opened: { store } }: Real): Promise<void> {
    let before = -1
    await until(async () => {
      const now = (await store.streams()).reduce((sum, { blocks, tailEvents }) => sum + 1000 * blocks + tailEvents, 0)
      const same = now === before
      before = now
      return same
    })
  }
  toString = () => 'let sealing go on'
}

class Read implements Command {
  readonly order: EventOrder
  readonly tag: number | undefined
  readonly lower: number
  readonly upper: number
  constructor(order: EventOrder, tag: number | undefined, lower: number, upper: number) {
    this.order = order
    this.tag = tag
    this.lower = lower
    this.upper = upper
  }
  check = () => true
  async run(model: Model, { opened: { store } }: Real): Promise<void> {
    const cut = (share: number): OffsetMap =>
      new Map([...store.offsets()].map(([stream, offset]) => [stream, Math.floor(((offset + 1) * share) / 100) - 1]))
    const lowerBound = cut(this.lower)
    const upperBound = cut(this.upper)
    const selection: TagSelection =
      this.tag === undefined ? { kind: 'all' } : { kind: 'tags', anyOf: new Set([`tag:${String(this.tag)}`]) }
    const found: PlainEvent[] = []
    for await (const batch of store.read({ selection, order: this.order, lowerBound, upperBound })) {
      if (batch.length === 0) throw new Error('an empty batch')
      found.push(...plainEvents(batch))
    }
    const wanted = model.events.filter(
      ({ stream, offset, tags }) =>
        offset > (lowerBound.get(stream) ?? -1) &&
        offset <= (upperBound.get(stream) ?? -1) &&
        (this.tag === undefined || tags.includes(`tag:${String(this.tag)}`)),
    )
    this.#compare(model, found, wanted)
  }
  /** What was delivered is what was wanted, but for events beyond the limits, which may go while they are read. */
  #compare(model: Model, found: readonly PlainEvent[], wanted: readonly PlainEvent[]): void {
    const delivered = new Set(found.map(({ stream, offset }) => `${stream}/${String(offset)}`))
    const newest = new Map<string, number>()
    for (const { stream, offset } of model.events) newest.set(stream, offset)
    const expected = wanted.filter(({ stream, offset }) => {
      if (delivered.has(`${stream}/${String(offset)}`)) return true
      const keep = model.keep.get(numberOf(stream)) ?? Infinity
      return offset > (newest.get(stream) ?? -1) - keep
    })
    const ordered = this.order === 'desc' ? expected.toReversed() : expected
    const same =
      this.order === 'stream-asc'
        ? sameStreams(found, ordered)
        : JSON.stringify(found.map(normal)) === JSON.stringify(ordered.map(normal))
    if (!same) throw new Error(`found ${String(found.length)} events of ${String(expected.length)}`)
  }
  toString = () =>
    `read ${this.order} ${this.tag === undefined ? 'all' : `tag ${String(this.tag)}`} ${String(this.lower)}-${String(this.upper)} %`
}

const normal = ({ lamport, stream, offset, timestamp, tags, appId, payload }: PlainEvent) => [
  lamport,
  stream,
  offset,
  timestamp,
  tags,
  appId,
  payload,
]

function groupByStream(events: readonly PlainEvent[]): Map<string, PlainEvent[]> {
  const groups = new Map<string, PlainEvent[]>()
  for (const each of events) groups.set(each.stream, [...(groups.get(each.stream) ?? []), each])
  return groups
}

function sameStreams(found: readonly PlainEvent[], expected: readonly PlainEvent[]): boolean {
  const byStream = (events: readonly PlainEvent[]) =>
    [...groupByStream(events)].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, list]) => list.map(normal))
  return JSON.stringify(byStream(found)) === JSON.stringify(byStream(expected))
}

t.test('whatever is done, a store answers like a plain list of events', { timeout: 120_000 }, async (t) => {
  const events = fc.array(fc.record({ stream: upTo(3), tag: upTo(4) }), { minLength: 1, maxLength: 30 })
  const commands = [
    fc.array(events, { minLength: 1, maxLength: 4 }).map((requests) => new Publish(requests)),
    fc.integer({ min: 1, max: 12 }).map((maxEvents) => new Restart(maxEvents)),
    fc
      .record({ stream: fc.integer({ min: 1, max: 2 }), maxEvents: fc.nat(60) })
      .map(({ stream, maxEvents }) => new Limit(stream, maxEvents)),
    fc.constant(new Settle()),
    fc
      .tuple(
        fc.constantFrom<EventOrder>('asc', 'desc', 'stream-asc'),
        fc.option(upTo(5), { nil: undefined }),
        fc.integer({ min: 0, max: 60 }),
        fc.integer({ min: 40, max: 100 }),
      )
      .map(([order, tag, lower, upper]) => new Read(order, tag, lower, upper)),
  ]
  await fc.assert(
    fc.asyncProperty(fc.commands(commands, { maxCommands: 40, size: 'max' }), async (sequence) => {
      const path = temporaryDirectory(t)
      const real: Real = { path, opened: await openTestStore(path, { block: { maxEvents: 8, maxBytes: 500 } }) }
      await real.opened.store.registerStreams(NAMES)
      try {
        await fc.asyncModelRun(() => ({ model: { events: [], keep: new Map() }, real }), sequence)
      } finally {
        await real.opened.close()
      }
    }),
    { numRuns: 25, interruptAfterTimeLimit: 30_000, endOnFailure: true },
  )
  t.pass()
})
