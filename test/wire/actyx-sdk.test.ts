// The unmodified npm package @actyx/sdk against a started daemon process.
import {
  Actyx,
  EventKey,
  EventsSortOrder,
  Tag,
  Tags,
  type ActyxEvent,
  type AqlResponse,
  type EventsOrTimetravel,
  type TaggedEvent,
} from '@actyx/sdk'
import t from 'tap'
import { Collector } from '../support/collector.js'
import { DaemonProcess } from '../support/daemon.js'

interface Reading {
  readonly machine: string
  readonly value: number
}

const manifest = { appId: 'com.example.wire', displayName: 'Wire test', version: '1.0.0' }

const daemon = await DaemonProcess.start()
t.teardown(() => daemon.close())

async function connect(onConnectionLost?: () => void): Promise<Actyx> {
  return Actyx.of(manifest, {
    actyxHost: '127.0.0.1',
    actyxPort: daemon.port,
    ...(onConnectionLost === undefined ? {} : { onConnectionLost }),
  })
}

const actyx = await connect()
t.teardown(() => {
  actyx.dispose()
})

/** Each test has a tag of its own, so that they cannot see each other's events. */
function reading(tag: string, machine: string, value: number): TaggedEvent {
  return Tags<Reading>(tag, `machine:${machine}`).apply({ machine, value })
}

const values = (events: readonly ActyxEvent[]): number[] => events.map((event) => (event.payload as Reading).value)

t.test('the SDK finds the node and its version', async (t) => {
  t.equal(actyx.nodeId, daemon.ready.nodeId)
  const info = await actyx.nodeInfo(0)
  t.match(info.longVersion(), /^2\.\d+\.\d+-millrace-/)
  t.ok(info.isAtLeastVersion('2.12.0'), 'new enough for monotonic subscriptions and snapshots on the server')
  t.equal(info.connectedNodes(), 0)
  t.ok(info.uptimeMillis() >= 0)
})

t.test('publishing tells stream, offset, lamport and app of each event', async (t) => {
  const [first, second] = await actyx.publish([reading('publish', 'a', 1), reading('publish', 'b', 2)])
  t.match(first, { appId: 'com.example.wire', tags: ['publish', 'machine:a'], stream: `${actyx.nodeId}-0` })
  t.equal(second!.lamport, first!.lamport + 1)
  t.equal(second!.offset, first!.offset + 1)
  t.equal(second!.timestampMicros, first!.timestampMicros)
  const single = await actyx.publish(reading('publish', 'a', 3))
  t.ok(single.lamport > second!.lamport)
  const emitted = await actyx.emit([reading('publish', 'a', 4)]).toPromise()
  t.equal(emitted.length, 1)
  const { present } = await actyx.offsets()
  t.ok((present[`${actyx.nodeId}-0`] ?? -1) >= single.offset)
  t.same(await actyx.present(), present)
})

t.test('3000 publishes at once share commits and keep their order', async (t) => {
  const commits = async (): Promise<number> => {
    const text = await (await fetch(`${daemon.url}/metrics`)).text()
    return Number(/^millrace_commits_total (.*)$/m.exec(text)?.[1])
  }
  const before = await commits()
  const readings = Array.from({ length: 3000 }, (_, value) => reading('at-once', 'a', value))
  const published = await Promise.all(readings.map((event) => actyx.publish(event)))
  t.same(
    published.map(({ offset }) => offset),
    Array.from({ length: 3000 }, (_, index) => (published[0]?.offset ?? 0) + index),
  )
  const taken = (await commits()) - before
  t.ok(taken > 0 && taken < 1500, `${String(taken)} commits`)
})

t.test('queries of every kind give the same events', async (t) => {
  const before = await actyx.present()
  await actyx.publish(
    Array.from({ length: 10 }, (_, value) => reading('query', value % 2 === 0 ? 'even' : 'odd', value)),
  )
  const upperBound = await actyx.present()
  await actyx.publish(reading('query', 'later', 99))
  const query = Tag<Reading>('query')
  const known = { query, lowerBound: before, upperBound }

  t.same(values(await actyx.queryKnownRange(known)), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  const descending = await actyx.queryKnownRange({ ...known, order: EventsSortOrder.Descending })
  t.same(values(descending), [9, 8, 7, 6, 5, 4, 3, 2, 1, 0])
  t.same(values((await actyx.queryAllKnown({ query })).events), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 99])
  t.same(
    values(await actyx.queryKnownRange({ ...known, query: query.and(Tag<Reading>('machine:odd')) })),
    [1, 3, 5, 7, 9],
  )
  t.same(
    values(
      await actyx.queryKnownRange({
        ...known,
        query: Tags<Reading>('query', 'machine:odd').or(Tags<Reading>('query', 'machine:later')),
      }),
    ),
    [1, 3, 5, 7, 9],
  )

  const chunks = new Collector<number[]>()
  await new Promise<void>((resolve, reject) => {
    actyx.queryKnownRangeChunked(
      known,
      4,
      (chunk) => {
        chunks.push(values(chunk.events))
      },
      (error) => {
        if (error === undefined) resolve()
        else reject(new Error('the query failed', { cause: error }))
      },
    )
  })
  t.same(chunks.items, [
    [0, 1, 2, 3],
    [4, 5, 6, 7],
    [8, 9],
  ])
})

t.test('AQL runs over the socket, with aggregation', async (t) => {
  await actyx.publish([3, 5, 7].map((value) => reading('aql', 'a', value)))
  const rows = await actyx.queryAql("FROM 'aql' SELECT _.value * 2")
  const events = rows.filter((row) => row.type === 'event')
  t.same(
    events.map((row) => row.payload),
    [6, 10, 14],
  )
  t.match(rows.at(-1), { type: 'offsets' })
  const descending = await actyx.queryAql({ query: "FROM 'aql' FILTER _.value > 3", order: EventsSortOrder.Descending })
  t.same(
    descending.filter((row) => row.type === 'event').map((row) => (row.payload as Reading).value),
    [7, 5],
  )
  const [sum] = await actyx.queryAql("FEATURES(aggregate) FROM 'aql' AGGREGATE SUM(_.value)")
  t.match(sum, { type: 'event', payload: 15 })
  const chunks = new Collector<AqlResponse[]>()
  await new Promise<void>((resolve) => {
    actyx.queryAqlChunked("FROM 'aql'", 2, chunks.push, () => {
      resolve()
    })
  })
  t.same(
    chunks.items.map((chunk) => chunk.length),
    [2, 2],
  )
  await t.rejects(actyx.queryAql('FROM nonsense('), 'a syntax error rejects')
})

t.test('subscribeAql delivers the past and the live', async (t) => {
  await actyx.publish(reading('aql-live', 'a', 1))
  const rows = new Collector<AqlResponse>()
  const cancel = actyx.subscribeAql("FROM 'aql-live' SELECT _.value", rows.push, rows.fail)
  await rows.until((items) => items.some((row) => row.type === 'offsets'))
  await actyx.publish(reading('aql-live', 'a', 2))
  await rows.until((items) => items.filter((row) => row.type === 'event').length === 2)
  t.same(
    rows.items.filter((row) => row.type === 'event').map((row) => row.payload),
    [1, 2],
  )
  cancel()
})

t.test('a subscription delivers the past, then the live, each event once', async (t) => {
  await actyx.publish([1, 2].map((value) => reading('subscribe', 'a', value)))
  const events = new Collector<ActyxEvent>()
  const cancel = actyx.subscribe({ query: Tag('subscribe') }, events.push, events.fail)
  await events.count(2)
  await actyx.publish([3, 4, 5].map((value) => reading('subscribe', 'a', value)))
  await events.count(5)
  t.same(values(events.items), [1, 2, 3, 4, 5])
  cancel()
  await actyx.publish(reading('subscribe', 'a', 6))
  await actyx.queryAllKnown({ query: Tag('subscribe') })
  t.equal(events.items.length, 5, 'nothing after the cancel')

  const chunks = new Collector<number[]>()
  const cancelChunked = actyx.subscribeChunked(
    { query: Tag('subscribe') },
    { maxChunkSize: 4, maxChunkTimeMs: 20 },
    (chunk) => {
      chunks.push(values(chunk.events))
    },
    chunks.fail,
  )
  await chunks.until((items) => items.flat().length === 6)
  t.same(chunks.items.flat(), [1, 2, 3, 4, 5, 6])
  cancelChunked()
})

t.test('a monotonic subscription says when it has caught up', async (t) => {
  await actyx.publish([1, 2, 3].map((value) => reading('monotonic', 'a', value)))
  const messages = new Collector<EventsOrTimetravel<Reading>>()
  const cancel = actyx.subscribeMonotonic<Reading>(
    {
      sessionId: 'one',
      query: Tag<Reading>('monotonic'),
      attemptStartFrom: { from: {}, latestEventKey: EventKey.zero },
    },
    messages.push,
    messages.fail,
  )
  const seen = (items: readonly EventsOrTimetravel<Reading>[]): number[] =>
    items.flatMap((message) => ('events' in message ? values(message.events) : []))
  await messages.until((items) => seen(items).length === 3)
  await actyx.publish([4, 5].map((value) => reading('monotonic', 'a', value)))
  await messages.until((items) => seen(items).length === 5)
  t.same(seen(messages.items), [1, 2, 3, 4, 5])
  t.match(messages.items.at(-1), { type: 'events', caughtUp: true })
  cancel()
})

t.test('observations follow the latest, the earliest, the best and the sum', async (t) => {
  await actyx.publish([5, 9, 2].map((value) => reading('observe', 'a', value)))
  const latest = new Collector<number>()
  const earliest = new Collector<number>()
  const best = new Collector<number>()
  const sum = new Collector<number>()
  const query = Tag<Reading>('observe')
  const cancels = [
    actyx.observeLatest<Reading>({ query }, (event) => latest.push(event.value), latest.fail),
    actyx.observeEarliest<Reading>({ query }, (event) => earliest.push(event.value), earliest.fail),
    actyx.observeBestMatch<Reading>(
      query,
      (candidate, current) => candidate.payload.value > current.payload.value,
      (event) => best.push(event.value),
      best.fail,
    ),
    actyx.observeUnorderedReduce<number, Reading>(query, (total, event) => total + event.value, 0, sum.push, sum.fail),
  ]
  await Promise.all([
    latest.until((items) => items.at(-1) === 2),
    earliest.until((items) => items.at(-1) === 5),
    best.until((items) => items.at(-1) === 9),
    sum.until((items) => items.at(-1) === 16),
  ])
  await actyx.publish(reading('observe', 'a', 20))
  await Promise.all([
    latest.until((items) => items.at(-1) === 20),
    best.until((items) => items.at(-1) === 20),
    sum.until((items) => items.at(-1) === 36),
  ])
  t.equal(earliest.items.at(-1), 5)
  for (const cancel of cancels) cancel()
})

t.test('snapshots are kept, found, and replaced by newer versions', async (t) => {
  const store = actyx.snapshotStore
  const key = { lamport: 7, offset: 3, stream: `${actyx.nodeId}-0` }
  const offsets = { [`${actyx.nodeId}-0`]: 3 }
  t.equal(await store.storeSnapshot('sum', 'a', key, offsets, undefined, 1, 1, 'tag', '{"total":16}'), true)
  t.match(await store.retrieveSnapshot('sum', 'a', 1), { state: '{"total":16}', eventKey: key, offsets })
  t.equal(await store.retrieveSnapshot('sum', 'a', 2), undefined, 'another version is another snapshot')
  t.equal(
    await store.storeSnapshot('sum', 'a', { ...key, lamport: 9 }, offsets, undefined, 1, 1, 'tag', '{"total":17}'),
    true,
  )
  t.match(await store.retrieveSnapshot('sum', 'a', 1), { state: '{"total":17}' }, 'the same tag is replaced')
  t.equal(await store.storeSnapshot('sum', 'a', key, offsets, undefined, 1, 2, 'tag', '{"total":18}'), true)
  t.equal(await store.retrieveSnapshot('sum', 'a', 1), undefined, 'a newer version drops the older ones')
  t.match(await store.retrieveSnapshot('sum', 'a', 2), { state: '{"total":18}' })
  // These two delete nothing in this release of the package: it walks over the wrong object, or sends no DELETE.
  await store.invalidateSnapshots('sum', 'a', { ...key, lamport: 1 })
  await store.invalidateAllSnapshots()
})

t.test('50 subscriptions at once get every event', async (t) => {
  const collectors = Array.from({ length: 50 }, () => new Collector<ActyxEvent>())
  const cancels = collectors.map((collector, index) =>
    actyx.subscribe({ query: Tags('many', `machine:m${String(index % 5)}`) }, collector.push, collector.fail),
  )
  for (let value = 0; value < 100; value += 10) {
    await actyx.publish(Array.from({ length: 10 }, (_, n) => reading('many', `m${String(n % 5)}`, value + n)))
  }
  await Promise.all(collectors.map((collector) => collector.count(20)))
  for (const [index, collector] of collectors.entries()) {
    const expected = Array.from({ length: 20 }, (_, n) => n * 5 + (index % 5))
    if (index < 5) t.same(values(collector.items), expected, `subscription ${String(index)} in order`)
    else if (values(collector.items).join() !== expected.join()) t.fail(`subscription ${String(index)} differs`)
  }
  for (const cancel of cancels) cancel()
})

t.test('3000 publishes sent at once are all stored', async (t) => {
  const metas = await Promise.all(
    Array.from({ length: 3000 }, (_, value) => actyx.publish(reading('burst', 'a', value))),
  )
  t.equal(new Set(metas.map((meta) => meta.lamport)).size, 3000)
  const { events } = await actyx.queryAllKnown({ query: Tag('burst') })
  t.same(
    values(events),
    Array.from({ length: 3000 }, (_, value) => value),
    'in the order in which they were sent',
  )
})

t.test('after kill -9 and a new start the same connection works again and nothing is lost', async (t) => {
  const lost = new Collector<true>()
  const client = await connect(() => lost.push(true))
  t.teardown(() => {
    client.dispose()
  })
  const ended = new Collector<unknown>()
  client.subscribe({ query: Tag('killed') }, () => undefined, ended.push)
  const before = await client.publish([1, 2, 3].map((value) => reading('killed', 'a', value)))
  await daemon.kill()
  await ended.count(1)
  await lost.count(1)
  const queued = client.publish(reading('killed', 'a', 4)).catch((error: unknown) => error)
  await daemon.startAgain()
  const outcome = await queued
  const after = await client.publish(reading('killed', 'a', 5))
  t.ok(after.lamport > before[2]!.lamport)
  const { events } = await client.queryAllKnown({ query: Tag('killed') })
  t.same(
    values(events),
    outcome instanceof Error || typeof outcome === 'string' ? [1, 2, 3, 5] : [1, 2, 3, 4, 5],
    'the call made meanwhile was either stored or refused',
  )
  const live = new Collector<ActyxEvent>()
  const cancel = client.subscribe({ query: Tag('killed') }, live.push, live.fail)
  await live.count(events.length)
  cancel()
  t.equal(client.nodeId, daemon.ready.nodeId, 'the node kept its identity')
})
