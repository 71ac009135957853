// The app API over streams of several nodes: one store is fed from others, without a network.
import { cp } from 'node:fs/promises'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { compareKeys } from '../../node/events/monotonic.js'
import { KEEP_EVERYTHING, type Store } from '../../storage/index.js'
import { testLevel } from '../support/level.js'
import { apply, BLOCK, openReplica, pull, pullStream, settle } from '../support/replica.js'
import { APP, serveStore, type Item, type ServedStore, type Session } from '../support/served-store.js'
import { event, openTestStore, publish, until, type OpenedStore } from '../support/store.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

/** An event as apps get it. */
type Delivered = Item & { readonly lamport: number; readonly stream: string; readonly offset: number }

function eventsOf(items: readonly Item[]): Delivered[] {
  return items.filter(({ type }) => type === 'event') as Delivered[]
}

const payloadsOf = (items: readonly Item[]): unknown[] => eventsOf(items).map(({ payload }) => payload)

const keyOf = ({ lamport, stream, offset }: Delivered) => ({ lamport, stream, offset })

const isSorted = (events: readonly Delivered[]): boolean =>
  events.every((each, at) => at === 0 || compareKeys(events[at - 1]!, each) < 0)

/** Two plain stores, and one behind the API. */
async function openThree(t: Test): Promise<{ a: OpenedStore; b: OpenedStore; node: ServedStore }> {
  return { a: await openReplica(t), b: await openReplica(t), node: await serveStore(t) }
}

/** Publishes each payload in a commit of its own. */
async function publishEach(store: Store, payloads: readonly unknown[], tag = 'a', streamNumber = 0): Promise<void> {
  for (const payload of payloads) await publish(store, [event(payload, [tag], streamNumber)])
}

const ENDPOINTS = ['follow', 'stream'] as const

t.test('offsets tell what is held, and of what is announced what is lacking', async (t) => {
  const { a, node } = await openThree(t)
  const [first, second] = [`${a.store.nodeId}-0`, `${a.store.nodeId}-1`]
  await publishEach(a.store, [1, 2, 3, 4, 5])
  await publishEach(a.store, [1], 'a', 1)
  await node.publish(['own'], 1)
  const own = `${node.store.nodeId}-0`
  t.same(await node.get('/api/v2/events/offsets'), { present: { [own]: 0 }, toReplicate: {} })
  await node.store.replicas.saveHead((await a.store.replicas.signHead(first))!)
  await pullStream(a.store, node.store, second)
  const lagging = { present: { [own]: 0, [second]: 0 }, toReplicate: { [first]: 5 } }
  t.same(await node.get('/api/v2/events/offsets'), lagging)
  t.same(await node.offsets(), lagging, 'over the WebSocket too')
  await apply(node.store, (await a.store.replicas.read(first, 0, 1))!)
  t.match(await node.offsets(), { present: { [first]: 0 }, toReplicate: { [first]: 4 } })
  await pull(a.store, node.store)
  t.same(await node.offsets(), { present: { [own]: 0, [first]: 4, [second]: 0 }, toReplicate: {} })
})

t.test('what its owner has pruned is not to be replicated, and held from where it begins', async (t) => {
  const { a, node } = await openThree(t)
  const stream = `${a.store.nodeId}-1`
  const payloads = Array.from({ length: 30 }, (_, at) => at)
  await publishEach(a.store, payloads, 'a', 1)
  a.store.setRetention(new Map([['x', { ...KEEP_EVERYTHING, maxEvents: 10 }]]))
  await settle(a)
  const { firstOffset } = a.store.replicas.status(stream)!
  t.ok(firstOffset > 0)
  await node.store.replicas.saveHead((await a.store.replicas.signHead(stream))!)
  t.same(await node.offsets(), { present: {}, toReplicate: { [stream]: 30 - firstOffset } })
  const session = node.follow('subscribe', { query: 'FROM allEvents', lowerBound: { [stream]: 2 } })
  await session.received.count(1)
  await pull(a.store, node.store)
  t.same(await node.offsets(), { present: { [stream]: 29 }, toReplicate: {} })
  const left = payloads.slice(firstOffset)
  t.same(payloadsOf(await node.query('FROM allEvents')), left)
  const bounds = { lowerBound: { [stream]: 3 }, upperBound: { [stream]: firstOffset + 1 } }
  t.same(payloadsOf(await node.query('FROM allEvents', bounds)), left.slice(0, 2), 'bounds below are fine')
  t.same(payloadsOf(await session.received.count(1 + left.length)), left, 'who subscribed before gets what is left')
})

t.test('an app sees the streams of all nodes in one order, and can ask for local ones', async (t) => {
  const { a, b, node } = await openThree(t)
  for (let round = 0; round < 12; round++) {
    await publish(a.store, [event(round), event(round, ['x'], 1)])
    await publish(b.store, [event(round)])
    await node.publish(['a'], round)
  }
  for (const { store } of [a, b]) await pull(store, node.store)
  const all = await node.query('FROM allEvents')
  const events = eventsOf(all)
  t.equal(events.length, 48)
  t.ok(isSorted(events))
  t.ok(new Set(events.map(({ lamport }) => lamport)).size < 48, 'some lamports stand more than once')
  t.same(eventsOf(await node.query('FROM allEvents', { order: 'desc' })), events.toReversed())
  const byStream = eventsOf(await node.query('FROM allEvents', { order: 'stream-asc' }))
  t.equal(byStream.length, 48)
  for (const stream of new Set(events.map(({ stream }) => stream))) {
    const fits = (each: Delivered) => each.stream === stream
    t.same(byStream.filter(fits), events.filter(fits))
  }
  const local = eventsOf(await node.query("FROM 'a' & isLocal"))
  t.ok(local.length === 12 && local.every(({ stream }) => stream.startsWith(node.store.nodeId)))
  const { lamport, stream } = events[20]!
  const later = await node.query(`FEATURES(eventKeyRange) FROM allEvents & from(${String(lamport)}/${stream})`)
  t.same(eventsOf(later), events.slice(20), 'a key names a place between streams')
  const foreign = `${a.store.nodeId}-0`
  const bounded = await node.query('FROM allEvents', { lowerBound: { [foreign]: 2 }, upperBound: { [foreign]: 5 } })
  t.same(payloadsOf(bounded), [3, 4, 5])
  t.same(bounded.at(-1), { type: 'offsets', offsets: { [foreign]: 5 } })
  t.match(await node.query('FROM allEvents', { upperBound: { [foreign]: 12 } }), [
    { type: 'diagnostic', severity: 'error', message: /upper bound must be within the known present/ },
  ])
})

t.test('a query answers for the streams that were there when it began', async (t) => {
  const { a, b, node } = await openThree(t)
  await publishEach(
    a.store,
    Array.from({ length: 200 }, () => 'x'.repeat(400)),
  )
  await pull(a.store, node.store)
  await publishEach(b.store, [1, 2, 3])
  const asked = node.stream('query', { query: 'FROM allEvents', order: 'asc' })
  await asked.received.count(1)
  await pull(b.store, node.store)
  await asked.ended
  const offsets = asked.received.items.at(-1)
  t.equal(eventsOf(asked.received.items).length, 200)
  t.same(offsets, { type: 'offsets', offsets: { [`${a.store.nodeId}-0`]: 199 } })
  t.equal(eventsOf(await node.query('FROM allEvents')).length, 203)
})

for (const how of ENDPOINTS) {
  t.test(`a subscription gets foreign events of runs, of blocks and of new streams (${how})`, async (t) => {
    const { a, b, node } = await openThree(t)
    await publishEach(a.store, [0, 1, 2])
    await pull(a.store, node.store)
    await node.publish(['b'], 'own')
    const session = node[how]('subscribe', { query: "FROM 'a'" })
    const past = await session.received.count(4)
    t.same(payloadsOf(past), [0, 1, 2])
    t.same(past[3], {
      type: 'offsets',
      offsets: { [`${a.store.nodeId}-0`]: 2, [`${node.store.nodeId}-0`]: 0 },
    })
    await publishEach(a.store, [3])
    await pull(a.store, node.store)
    t.same(payloadsOf(await session.received.count(5)), [0, 1, 2, 3], 'a run')
    await publishEach(a.store, [4, 5, 6], 'a', 2)
    await pull(a.store, node.store)
    t.same(payloadsOf(await session.received.count(8)).slice(4), [4, 5, 6], 'a new stream')
    await publishEach(
      b.store,
      Array.from({ length: 20 }, (_, at) => at),
    )
    await settle(b)
    await pull(b.store, node.store)
    const all = eventsOf(await session.received.count(28))
    t.same(payloadsOf(all).slice(7), [...Array(20).keys()], 'blocks, whose lamports were passed long ago')
    session.cancel()
  })
}

t.test('late events end a monotonic session with the key of the first of them', async (t) => {
  const { a, node } = await openThree(t)
  await publishEach(a.store, ['late 1', 'late 2'])
  await node.publish(['a'], 'own 1')
  await node.publish(['a'], 'own 2')
  const [ownFirst] = eventsOf(await node.query("FROM 'a'"))
  t.equal(ownFirst?.lamport, 0)
  for (const how of ENDPOINTS) {
    const other = await openReplica(t)
    await publishEach(other.store, ['late 1', 'late 2'])
    const session = node[how]('subscribe_monotonic', { query: "FROM 'a'", session: 's', lowerBound: {} })
    await session.received.until((items) => items.some(({ type }) => type === 'offsets'))
    const before = session.received.items.length
    await pull(other.store, node.store)
    await session.ended
    const [late] = (await node.query("FROM 'a'"))
      .filter((item): item is Delivered => item.type === 'event' && item['stream'] === `${other.store.nodeId}-0`)
      .map(keyOf)
    t.same(session.received.items.slice(before), [{ type: 'timeTravel', newStart: late }])
  }
})

t.test('a monotonic session goes on when what comes late is none of its business', async (t) => {
  const { a, b, node } = await openThree(t)
  await publishEach(a.store, [1, 2])
  await publishEach(b.store, [1, 2, 3], 'other')
  await node.publish(['x'], 1, 2, 3, 4, 5)
  await node.publish(['a'], 10)
  const query = "FROM 'a' FILTER _ > 5"
  const session = node.follow('subscribe_monotonic', { query, session: 's', lowerBound: {} })
  await session.received.count(2)
  await pull(b.store, node.store)
  await pull(a.store, node.store)
  await node.publish(['a'], 11)
  t.same(payloadsOf(await session.received.count(3)), [10, 11], 'other tags, or filtered out')
  t.match(session.received.items, [
    { type: 'event', caughtUp: false },
    { type: 'offsets' },
    { type: 'event', caughtUp: true },
  ])
  session.cancel()
})

t.test('a filtered event that was passed does not make a later one late', async (t) => {
  const { a, node } = await openThree(t)
  await publishEach(a.store, [10])
  await node.publish(['a'], 1, 2, 3)
  const query = "FROM 'a' FILTER _ > 5"
  const session = node.follow('subscribe_monotonic', { query, session: 's', lowerBound: {} })
  await session.received.count(1)
  await pull(a.store, node.store)
  t.match(await session.received.count(2), [{ type: 'offsets' }, { type: 'event', payload: 10, caughtUp: true }])
  session.cancel()
})

t.test('events that sort before the lower bound of a monotonic session are late at once', async (t) => {
  const { a, node } = await openThree(t)
  await publishEach(a.store, ['late', 'late too'])
  await node.publish(['a'], 'own 1', 'own 2', 'own 3')
  await pull(a.store, node.store)
  const seen = { query: "FROM 'a'", session: 's', lowerBound: { [`${node.store.nodeId}-0`]: 2 } }
  for (const how of ENDPOINTS) {
    const session = node[how]('subscribe_monotonic', seen)
    await session.ended
    const newStart = { lamport: 0, stream: `${a.store.nodeId}-0`, offset: 0 }
    t.same(session.received.items, [{ type: 'timeTravel', newStart }])
  }
  const beyond = { ...seen, lowerBound: { [`${a.store.nodeId}-0`]: 2 } }
  const refused = node.follow('subscribe_monotonic', beyond)
  await refused.ended
  t.match(refused.received.items, [{ type: 'serviceError', value: /^Query bounds out of range/ }])
})

t.test('events of several nodes that come in one commit are put into order, not undone', async (t) => {
  const { a, b, node } = await openThree(t)
  for (const { store } of [a, b]) await publishEach(store, [1, 2, 3])
  const session = node.follow('subscribe_monotonic', { query: "FROM 'a'", session: 's', lowerBound: {} })
  await session.received.count(1)
  const pieces = await Promise.all([a, b].map(({ store }) => store.replicas.read(`${store.nodeId}-0`, 0, 2000)))
  await Promise.all(pieces.map((piece) => apply(node.store, piece!)))
  const events = eventsOf(await session.received.count(7))
  t.ok(isSorted(events))
  t.same(events.at(-1)?.['caughtUp'], true)
  session.cancel()
})

t.test('a warning behind the last event leaves it caught up', async (t) => {
  const { node } = await openThree(t)
  const session = node.follow('subscribe_monotonic', { query: "FROM 'a' SELECT _.x", session: 's', lowerBound: {} })
  await session.received.count(1)
  await node.publish(['a'], { x: 1 }, { y: 1 })
  const items = await session.received.count(3)
  t.match(
    items.find(({ type }) => type === 'event'),
    { payload: 1, caughtUp: true },
  )
  t.match(
    items.find(({ type }) => type === 'diagnostic'),
    { severity: 'warning' },
  )
  session.cancel()
})

t.test('a node whose own history is ahead elsewhere refuses to publish and says why; reading goes on', async (t) => {
  const [path, backup] = [temporaryDirectory(t), temporaryDirectory(t)]
  const first = await openTestStore(path, { block: BLOCK })
  await publishEach(first.store, [1])
  await first.close()
  await cp(path, backup, { recursive: true })
  const further = await openTestStore(path, { block: BLOCK })
  await publishEach(further.store, [2, 3])
  const stream = `${further.store.nodeId}-0`
  const head = (await further.store.replicas.signHead(stream))!
  await further.close()

  const restored = await openTestStore(backup, { block: BLOCK })
  t.teardown(() => restored.close())
  const node = await serveStore(t, restored)
  const session = node.follow('subscribe', { query: "FROM 'a'" })
  await session.received.count(2)
  t.match(await restored.store.replicas.saveHead(head), { kind: 'own-ahead' })
  const refused = await node.publish(['a'], 'no')
  t.equal(refused.status, 503)
  t.match(JSON.parse(refused.text), { code: 'ERR_SERVICE_OVERLOADED', message: /^Service overloaded\. .*older backup/ })
  const socket = node.follow('publish', { data: [{ tags: ['a'], payload: 'no' }] })
  await socket.ended
  t.match(socket.received.items, [{ type: 'serviceError', value: /older backup/ }])
  t.same(await node.offsets(), { present: { [stream]: 0 }, toReplicate: {} }, 'own streams are not replicated')
  t.same(payloadsOf(await node.query("FROM 'a'")), [1])

  const other = await openReplica(t)
  await publishEach(other.store, ['foreign'])
  await pull(other.store, node.store)
  t.same(payloadsOf(await session.received.count(3)), [1, 'foreign'], 'others are still heard')
  await restored.store.replicas.beginEpoch()
  t.match(await node.offsets(), { toReplicate: { [stream]: 2 } }, 'in a new epoch the old stream can be completed')
  const accepted = await node.publish(['a'], 'yes')
  t.equal(accepted.status, 200)
  t.same(payloadsOf(await session.received.count(4)), [1, 'foreign', 'yes'])
})

t.test('a key that is in use elsewhere stops publishing; a frozen stream is read and followed on', async (t) => {
  const [path, copy] = [temporaryDirectory(t), temporaryDirectory(t)]
  const first = await openTestStore(path, { block: BLOCK })
  await publishEach(first.store, [0])
  await first.close()
  await cp(path, copy, { recursive: true })
  const [one, twin] = [await openTestStore(path, { block: BLOCK }), await openTestStore(copy, { block: BLOCK })]
  t.teardown(() => Promise.all([one.close(), twin.close()]))
  const [node, witness] = [await serveStore(t, one), await serveStore(t)]
  await publishEach(one.store, ['one'])
  await publishEach(twin.store, ['two'])
  const stream = `${one.store.nodeId}-0`
  await pull(one.store, witness.store)
  const session = witness.follow('subscribe', { query: "FROM 'a'" })
  await session.received.count(3)

  const head = (await twin.store.replicas.signHead(stream))!
  t.match(await witness.store.replicas.saveHead(head), { kind: 'fork' })
  t.same(payloadsOf(await witness.query("FROM 'a'")), [0, 'one'], 'what was taken stays')
  t.equal((await witness.publish(['a'], 'witness')).status, 200, 'who only sees it goes on')
  const third = await openReplica(t)
  await publishEach(third.store, ['third'])
  await pull(third.store, witness.store)
  t.same(payloadsOf(await session.received.count(5)), [0, 'one', 'witness', 'third'])

  t.match(await node.store.replicas.saveHead(head), { kind: 'fork' })
  const refused = await node.publish(['a'], 'no')
  t.equal(refused.status, 503)
  t.match(JSON.parse(refused.text), { code: 'ERR_SERVICE_OVERLOADED', message: /key is in use elsewhere/ })
  t.same(payloadsOf(await node.query("FROM 'a'")), [0, 'one'])
})

t.test('node/info tells of connected nodes and the state of each', async (t) => {
  const node = await serveStore(t)
  t.match(await node.get('/api/v2/node/info'), {
    connectedNodes: 2,
    uptime: { secs: 0, nanos: 1_000_000 },
    version: /^2\.18\.2-millrace-/,
    swarmState: { peersStatus: { [node.store.nodeId]: 'LowLatency' } },
  })
})

/** Reads an answer only as far as asked: a reader that is as slow as the test wants. */
class SlowReader {
  readonly items: Item[] = []
  readonly #chunks: AsyncIterator<Uint8Array>

  constructor(answer: AsyncIterable<Uint8Array>) {
    this.#chunks = answer[Symbol.asyncIterator]()
  }

  async readUntil(enough: (items: readonly Item[]) => boolean): Promise<void> {
    while (!enough(this.items)) {
      const { done, value } = await this.#chunks.next()
      if (done === true) return
      const lines = Buffer.from(value).toString().split('\n').slice(0, -1)
      this.items.push(...lines.map((line) => JSON.parse(line) as Item))
    }
  }
}

t.test('a reader that lags behind gets each event once, whenever blocks of others come in', async (t) => {
  const { a, b, node } = await openThree(t)
  const stores = [a, b].map(({ store }) => store)
  const big = 'x'.repeat(20_000)
  const growAndFeed = async () => {
    for (const store of stores) for (let at = 0; at < 40; at++) await publish(store, [event([at, big])])
    await Promise.all([a, b].map(settle))
    await Promise.all(stores.map((store) => pullStream(store, node.store, `${store.nodeId}-0`)))
  }
  await growAndFeed()
  const leave = new AbortController()
  const context = { appId: APP, signal: leave.signal }
  const request = { query: "FROM 'a'", session: 's', lowerBound: new Map() }
  const plain = new SlowReader(await node.events.subscribe(request, context))
  const strict = new SlowReader(await node.events.subscribeMonotonic(request, context))
  for (const each of [plain, strict]) await each.readUntil(({ length }) => length > 0)
  await growAndFeed()
  t.ok(eventsOf(plain.items).length < 80, 'it is in the middle of the past')
  for (const each of [plain, strict]) await each.readUntil((items) => eventsOf(items).length > 80)
  await growAndFeed()
  await publish(node.store, [event(['end', ''])])
  const all = eventsOf(await node.query("FROM 'a'"))
  t.equal(all.length, 241)
  await plain.readUntil((items) => eventsOf(items).length >= 241)
  t.same(eventsOf(plain.items).toSorted(compareKeys), all)
  await strict.readUntil((items) => items.some(({ type }) => type === 'timeTravel') || eventsOf(items).length >= 241)
  const delivered = eventsOf(strict.items)
  t.ok(isSorted(delivered))
  const late = strict.items.find(({ type }) => type === 'timeTravel')?.['newStart'] as Delivered | undefined
  if (late === undefined) t.same(delivered.length, 241)
  else t.ok(compareKeys(late, delivered.at(-1)!) < 0)
  leave.abort()
})

t.test('the lamport of an own event is above all that was heard before', async (t) => {
  const sources = [(await openReplica(t)).store, (await openReplica(t)).store]
  const { store } = await openReplica(t)
  const all = { selection: { kind: 'all' }, order: 'desc', lowerBound: new Map() } as const
  const newestHeld = async (): Promise<number> => {
    for await (const batch of store.read({ ...all, upperBound: store.offsets() })) return batch.event(0).lamport
    return -1
  }
  let announced = 0
  const step = fc.tuple(fc.nat(1), fc.nat(1), fc.integer({ min: 1, max: 9 }), fc.constantFrom('head', 'piece', 'back'))
  const property = fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (sequence) => {
    for (const [from, number, count, what] of sequence) {
      const source = sources[from]!
      const stream = `${source.nodeId}-${String(number)}`
      const [own] = await publish(
        source,
        Array.from({ length: count }, () => event(1, ['a'], number)),
      )
      if (what === 'head') {
        const head = (await source.replicas.signHead(stream))!
        if (head.lamport <= own!.lamport) return false
        await store.replicas.saveHead(head)
        announced = Math.max(announced, head.lamport)
      } else if (what === 'piece') {
        const next = store.replicas.status(stream)?.nextOffset ?? 0
        await apply(store, (await source.replicas.read(stream, next, 2000))!)
      } else await pull(store, source)
      const held = await newestHeld()
      const [next] = await publish(store, [event(2)])
      if (next!.lamport < announced || next!.lamport <= held) return false
    }
    return true
  })
  await fc.assert(property, { numRuns: 10 })
})

/** What an app makes of a monotonic subscription: on time travel it forgets what stands behind, and asks again. */
class MonotonicReader {
  readonly #node: ServedStore
  readonly #query: string
  /** In the order of delivery, without what was undone. */
  readonly kept: Delivered[] = []
  /** What the app has seen elsewhere, which it forgets at the first time travel to before it. */
  base: Record<string, number>
  #baseKey: Delivered | undefined
  #session: Session | undefined
  /** What must never be: a message for the test. */
  fault: string | undefined
  travels = 0

  constructor(node: ServedStore, query: string, base: Record<string, number>, baseKey: Delivered | undefined) {
    this.#node = node
    this.#query = query
    this.base = base
    this.#baseKey = baseKey
  }

  open(): void {
    const lowerBound = { ...this.base }
    for (const { stream, offset } of this.kept) lowerBound[stream] = Math.max(offset, lowerBound[stream] ?? -1)
    const request = { query: this.#query, session: 's', lowerBound }
    this.#session = this.#node.follow('subscribe_monotonic', request, (item) => {
      this.#take(item)
    })
  }

  #take(item: Item): void {
    if (item.type === 'timeTravel') this.#travel(item['newStart'] as Delivered)
    else if (item.type === 'event') {
      const [event] = eventsOf([item])
      const newest = this.kept.at(-1) ?? this.#baseKey
      if (newest !== undefined && compareKeys(newest, event!) >= 0) this.fault = 'out of order'
      this.kept.push(event!)
    } else if (item.type !== 'offsets') this.fault = JSON.stringify(item)
  }

  #travel(newStart: Delivered): void {
    this.travels += 1
    const newest = this.kept.at(-1) ?? this.#baseKey
    if (newest === undefined || compareKeys(newStart, newest) >= 0) this.fault = 'a journey to the future'
    while (this.kept.length > 0 && compareKeys(this.kept.at(-1)!, newStart) >= 0) this.kept.pop()
    if (this.#baseKey !== undefined && compareKeys(newStart, this.#baseKey) < 0) {
      this.base = {}
      this.#baseKey = undefined
      this.kept.length = 0
    }
    this.open()
  }

  close(): void {
    this.#session?.cancel()
  }
}

interface World {
  readonly stores: readonly Store[]
  readonly node: ServedStore
  readonly plain: { readonly query: string; readonly lowerBound: Record<string, number>; readonly session: Session }[]
  readonly monotonic: { readonly query: string; readonly reader: MonotonicReader }[]
}

type Step = readonly [name: string, run: (world: World) => Promise<void>]

const QUERIES = [
  'FROM allEvents',
  "FROM 'a'",
  "FROM 'a' FILTER _ > 5",
  "FROM 'b' & isLocal",
  "FROM 'a' & 'b' | isLocal",
]

/** The events that a query has in the end; the bound of a subscription may lie where nothing is yet. */
async function eventsAfter(node: ServedStore, query: string, lowerBound: object): Promise<Delivered[]> {
  return eventsOf(await node.query(query, { lowerBound }))
}

const query = fc.constantFrom(...QUERIES)
const who = fc.nat(2)
/** How much of each stream an app has seen, beginning with any; over 1 it names what does not exist yet. */
const shares = fc.array(fc.double({ min: 0, max: 1.2, noNaN: true }), { minLength: 1, maxLength: 4 })

function boundOf(present: ReadonlyMap<string, number>, parts: readonly number[]): Record<string, number> {
  const bound = [...present].map(([stream, offset], at) => {
    return [stream, Math.floor((offset + 1) * (parts[at % parts.length] ?? 0)) - 1] as const
  })
  return Object.fromEntries(bound.filter(([, offset]) => offset >= 0))
}

const steps: readonly fc.Arbitrary<Step>[] = [
  fc
    .tuple(who, fc.nat(1), fc.subarray(['a', 'b']), fc.array(fc.nat(10), { minLength: 1, maxLength: 12 }))
    .map(([at, number, tags, payloads]): Step => {
      return [
        `${String(at)} publishes ${payloads.join()} with ${tags.join()} into ${String(number)}`,
        async ({ stores }) => {
          await publish(
            stores[at]!,
            payloads.map((payload) => event(payload, tags, number)),
          )
        },
      ]
    }),
  fc.tuple(who, who, fc.nat(9), fc.integer({ min: 1, max: 3000 })).map(([from, to, which, bytes]): Step => {
    return [
      `${String(to)} gets ${String(bytes)} bytes of stream ${String(which)} of ${String(from)}`,
      async ({ stores }) => {
        const [source, target] = [stores[from]!, stores[to]!]
        const foreign = source.replicas.list().filter(({ stream }) => !stream.startsWith(target.nodeId))
        const status = foreign[which % Math.max(1, foreign.length)]
        if (status === undefined || from === to) return
        const next = target.replicas.status(status.stream)?.nextOffset ?? 0
        const piece = await source.replicas.read(status.stream, next, bytes)
        if (piece !== undefined) await apply(target, piece)
      },
    ]
  }),
  fc.tuple(who, who).map(([from, to]): Step => {
    return [
      `${String(to)} gets all of ${String(from)}`,
      async ({ stores }) => {
        if (from !== to) await pull(stores[from]!, stores[to]!)
      },
    ]
  }),
  fc.tuple(query, shares).map(([query, parts]): Step => {
    return [
      `subscribes to ${query} from ${parts.join()}`,
      ({ node, plain }) => {
        const lowerBound = boundOf(node.store.offsets(), parts)
        plain.push({ query, lowerBound, session: node.follow('subscribe', { query, lowerBound }) })
        return Promise.resolve()
      },
    ]
  }),
  fc.tuple(query, shares).map(([query, parts]): Step => {
    return [
      `subscribes in order to ${query} from ${parts.join()}`,
      async ({ node, monotonic }) => {
        const present = node.store.offsets()
        const bound = boundOf(
          present,
          parts.map((part) => Math.min(1, part)),
        )
        const [seen] = eventsOf(await node.query(query, { upperBound: bound, order: 'desc' }))
        const reader = new MonotonicReader(node, query, bound, seen)
        reader.open()
        monotonic.push({ query, reader })
      },
    ]
  }),
]

/** Printed as what it does. */
const step = fc.oneof(...steps)

/** Everything arrives. The last event matches all queries, and lies in a stream that no bound names. */
async function finish({ stores, node }: World): Promise<void> {
  for (const store of stores) if (store !== node.store) await pull(store, node.store)
  await publish(node.store, [event(100, ['a', 'b'], 2)])
}

async function checkPlain({ node, plain }: World): Promise<void> {
  for (const { query, lowerBound, session } of plain) {
    const items = await session.received.until((all) => eventsOf(all).some(isEnd))
    const expected = await eventsAfter(node, query, lowerBound)
    const got = eventsOf(items)
    const positions = new Map<string, number>()
    for (const { stream, offset } of got) {
      if (offset <= (positions.get(stream) ?? lowerBound[stream] ?? -1)) throw new Error('a stream goes back')
      positions.set(stream, offset)
    }
    const past = items.findIndex(({ type }) => type === 'offsets')
    if (!isSorted(eventsOf(items.slice(0, past)))) throw new Error('the past is not in order')
    same(got.toSorted(compareKeys), expected, query)
    session.cancel()
  }
}

async function checkMonotonic({ node, monotonic }: World): Promise<number> {
  let travels = 0
  for (const { query, reader } of monotonic) {
    await until(() => reader.fault !== undefined || reader.kept.some(isEnd))
    if (reader.fault !== undefined) throw new Error(`${query}: ${reader.fault}`)
    const kept = reader.kept.map(({ caughtUp: _caughtUp, ...rest }) => rest)
    same(kept, await eventsAfter(node, query, reader.base), query)
    travels += reader.travels
    reader.close()
  }
  return travels
}

const isEnd = ({ payload }: Item): boolean => payload === 100

function same(found: readonly object[], expected: readonly object[], query: string): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)]
  if (a !== b) throw new Error(`${query}\n${a}\n${b}`)
}

t.test(
  'whatever comes from whom in whatever order, subscriptions have what a query has in the end, and nothing twice',
  { timeout: 120_000 },
  async (t) => {
    let travels = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30, size: 'max' }), async (sequence) => {
        const opened = await Promise.all([1, 2, 3].map(() => openReplica(t)))
        const node = await serveStore(t, opened[2])
        const world: World = { stores: opened.map(({ store }) => store), node, plain: [], monotonic: [] }
        try {
          for (const [, run] of sequence) await run(world)
          await finish(world)
          await checkPlain(world)
          travels += await checkMonotonic(world)
        } finally {
          await node.close()
          for (const { store } of opened) await store.close()
        }
      }),
      { numRuns: testLevel() === 'quick' ? 10 : 25 },
    )
    t.ok(travels > 0, 'some had to go back')
  },
)
