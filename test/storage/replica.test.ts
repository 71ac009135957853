import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import t from 'tap'
import { streamIdOf, type EventBatch } from '../../core/index.js'
import { KEEP_EVERYTHING, MAX_PAYLOAD_BYTES, type ReplicaPiece } from '../../storage/index.js'
import { StreamKeys } from '../../storage/keys.js'
import {
  apply,
  BLOCK,
  contentOf,
  converge,
  NAMES,
  openReplica,
  pull,
  pullStream,
  sameInTheEnd,
  settle,
} from '../support/replica.js'
import { event, openTestStore, plainEvents, publish, readAll, until } from '../support/store.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

t.test('a replica has the same events, blocks and hashes, and passes them on', async (t) => {
  const [a, b, c] = [await openReplica(t), await openReplica(t), await openReplica(t)]
  for (let round = 0; round < 40; round++) {
    await publish(
      a.store,
      Array.from({ length: 1 + (round % 5) }, (_, at) =>
        event({ round, at }, ['all', `r:${String(round % 3)}`], at % 3),
      ),
      1_000_000 + round,
    )
    if (round % 7 === 0) await pull(a.store, b.store, 300)
  }
  await settle(a)
  await pull(a.store, b.store)
  await sameInTheEnd(t, b, a)
  await pull(b.store, c.store)
  const expected = await readAll(a.store)
  t.equal(expected.length, 120)
  for (const other of [b, c]) {
    t.same(await readAll(other.store), expected)
    t.same(await readAll(other.store, 'desc'), expected.toReversed())
    const selection = { kind: 'tags', anyOf: new Set(['r:1']) } as const
    t.same(await readAll(other.store, 'asc', selection), await readAll(a.store, 'asc', selection))
    await sameInTheEnd(t, other, a)
  }
  t.same(
    (await c.store.streams()).map(({ name, own }) => [name, own]),
    NAMES.map((name) => [name, false]),
  )
  const [own] = await publish(c.store, [event('after')])
  t.equal(own?.lamport, 120, 'lamports go on after what was received')
})

t.test('live readers see foreign events of runs and of blocks, and lamports are raised before', async (t) => {
  const [a, b] = [await openReplica(t), await openReplica(t)]
  for (let at = 0; at < 20; at++) await publish(a.store, [event(at)])
  await settle(a)
  const seen: unknown[] = []
  b.store.onCommit((batches: readonly EventBatch[]) => {
    for (const batch of batches) seen.push(...plainEvents(batch))
  })
  const stream = streamIdOf(a.store.nodeId, 0)
  const outcomes = await pullStream(a.store, b.store, stream)
  t.same(
    outcomes.map(({ kind }) => kind),
    ['applied', 'applied', 'applied'],
  )
  t.same(seen, await readAll(a.store))
  const piece = await a.store.replicas.read(stream, 19, 1000)
  t.equal(piece?.kind, 'run')
  t.same(await apply(b.store, piece!), { kind: 'known' })
  t.equal(seen.length, 20, 'what comes twice is seen once')
})

t.test('own events and those of others share a commit', async (t) => {
  const [a, b] = [await openReplica(t), await openReplica(t)]
  await publish(a.store, [event(1)])
  const piece = await a.store.replicas.read(streamIdOf(a.store.nodeId, 0), 0, 1000)
  const commits = b.store.metrics().commits
  const [outcome, publications] = await Promise.all([
    apply(b.store, piece!),
    new Promise<void>((resolve) => setTimeout(resolve, 5)).then(() => publish(b.store, [event(2)])),
  ])
  t.equal(outcome.kind, 'applied')
  t.equal(publications.length, 1)
  t.ok(b.store.metrics().commits <= commits + 2)
  t.equal((await readAll(b.store)).length, 2)
})

t.test('events of several nodes are delivered in one order everywhere', async (t) => {
  const stores = [await openReplica(t), await openReplica(t), await openReplica(t)]
  for (let round = 0; round < 12; round++) {
    for (const [at, { store }] of stores.entries()) {
      await publish(
        store,
        Array.from({ length: 1 + ((round * 7 + at) % 3) }, () => event({ round, at }, ['a'], round % 2)),
      )
    }
    if (round % 3 === 0) await pull(stores[round % 3]!.store, stores[(round + 1) % 3]!.store)
  }
  await converge(stores)
  const [first, ...others] = await Promise.all(stores.map(contentOf))
  t.equal(first?.streams.length, 6)
  for (const other of others) t.same(other, first)
  const keys = first?.events.map(({ lamport, stream }) => `${String(lamport).padStart(9, '0')} ${stream}`)
  t.same(keys, keys?.toSorted(), 'by lamport, then stream')
})

t.test('the greatest event travels in a run and in a block', async (t) => {
  const [a, b, c] = [await openReplica(t), await openReplica(t), await openReplica(t)]
  const text = 'x'.repeat(MAX_PAYLOAD_BYTES - 2)
  await publish(a.store, [event('before')])
  await pull(a.store, b.store)
  await publish(a.store, [event(text)])
  await pull(a.store, b.store)
  await settle(a)
  await pull(a.store, c.store)
  for (const { store } of [b, c]) t.ok((await readAll(store))[1]?.payload === text)
})

t.test('only what is on disk is signed, whatever the mode', async (t) => {
  const { store } = await openReplica(t, { sync: 'os' })
  await publish(store, [event(1), event(2)])
  const stream = streamIdOf(store.nodeId, 0)
  t.equal(await store.replicas.signHead(stream), undefined)
  t.equal(await store.replicas.read(stream, 0, 1000), undefined)
  const moved: string[] = []
  store.replicas.watch({ moved: (streams) => moved.push(...streams) })
  await store.replicas.sync()
  t.match(await store.replicas.signHead(stream), { nextOffset: 2, name: 'default', blockOffset: 0 })
  t.ok(moved.includes(stream))
  await publish(store, [event(3)])
  t.match(await store.replicas.signHead(stream), { nextOffset: 2 })
  t.match(await store.replicas.read(stream, 0, 1000), { run: { counts: [2] } })
})

t.test(
  'signatures of blocks arrive late: until then the replica waits with sealing, and with too much of it',
  async (t) => {
    const [a, b] = [await openReplica(t), await openReplica(t)]
    const stream = streamIdOf(a.store.nodeId, 0)
    const runs: ReplicaPiece[] = []
    for (let at = 0; at < 8 * 66; at += 4) {
      // Read at once, before the block is sealed.
      await publish(
        a.store,
        Array.from({ length: 4 }, (_, index) => event(at + index)),
      )
      const piece = await a.store.replicas.read(stream, at, 100_000)
      if (piece !== undefined) runs.push(piece)
    }
    let waits: number | undefined
    for (const piece of runs) {
      if (piece.kind !== 'run' || waits !== undefined) continue
      const run = { ...piece.run, blockSignature: undefined }
      const outcome = await apply(b.store, { kind: 'run', run })
      if (outcome.kind === 'unsealed') waits = outcome.from
      else if (outcome.kind !== 'applied') break
    }
    await settle(a)
    const before = (await b.store.streams())[0]
    t.equal(before?.blocks, 0, 'nothing is sealed without a signature')
    t.equal(b.store.replicas.status(stream)?.unsignedFrom, 0)
    const seals = await a.store.replicas.readSeals(stream, 0, 1000)
    const outcomes = await b.store.replicas.applySeals(seals.toReversed())
    t.ok(outcomes.some(({ kind }) => kind === 'applied'))
    await pull(a.store, b.store)
    await settle(b)
    await sameInTheEnd(t, b, a)
  },
)

t.test('a replica begins where its owner has pruned, and follows when it prunes', async (t) => {
  const [a, b, c] = [await openReplica(t), await openReplica(t), await openReplica(t)]
  const stream = streamIdOf(a.store.nodeId, 1)
  const fill = async (count: number) => {
    for (let at = 0; at < count; at++) await publish(a.store, [event(at, ['a'], 1)])
    await settle(a)
  }
  await fill(30)
  await pull(a.store, c.store)
  a.store.setRetention(new Map([['x', { ...KEEP_EVERYTHING, maxEvents: 10 }]]))
  await until(() => (a.store.replicas.status(stream)?.firstOffset ?? 0) > 0)
  await settle(a)
  await pull(a.store, b.store)
  t.equal(b.store.replicas.status(stream)?.firstOffset, 16)
  await pull(a.store, c.store)
  await until(() => c.store.replicas.status(stream)?.firstOffset === 16)
  await sameInTheEnd(t, b, a)
  await sameInTheEnd(t, c, a)
  await fill(40)
  await until(() => (a.store.replicas.status(stream)?.firstOffset ?? 0) > 50)
  await pull(a.store, c.store)
  await sameInTheEnd(t, c, a, 'one that was away meanwhile begins anew behind the hole')
  c.store.replicas.setLimits(() => ({ ...KEEP_EVERYTHING, maxEvents: 1 }))
  await until(() => (c.store.replicas.status(stream)?.firstOffset ?? 0) === 64)
  t.pass('and may keep less')
})

t.test('blocks whose signatures went with them when their owner pruned do not hold a replica up', async (t) => {
  for (const held of [8, 12, 16]) {
    const [a, b] = [await openReplica(t), await openReplica(t)]
    const stream = streamIdOf(a.store.nodeId, 1)
    const runs: ReplicaPiece[] = []
    for (let at = 0; at < held; at += 4) {
      await publish(
        a.store,
        Array.from({ length: 4 }, () => event(at, ['a'], 1)),
      )
      const piece = await a.store.replicas.read(stream, at, 1000)
      if (piece?.kind === 'run') runs.push({ kind: 'run', run: { ...piece.run, blockSignature: undefined } })
    }
    for (const piece of runs) await apply(b.store, piece)
    for (let at = 0; at < 20; at++) await publish(a.store, [event(at, ['a'], 1)])
    a.store.setRetention(new Map([['x', { ...KEEP_EVERYTHING, maxEvents: 1 }]]))
    await settle(a)
    t.ok((a.store.replicas.status(stream)?.firstOffset ?? 0) >= 16)
    await until(async () => {
      await pull(a.store, b.store)
      return JSON.stringify(await contentOf(a)) === JSON.stringify(await contentOf(b))
    })
  }
})

t.test('the rest of a block whose begin went when its owner pruned is no second history', async (t) => {
  const [a, b, c] = [await openReplica(t), await openReplica(t), await openReplica(t)]
  const stream = streamIdOf(a.store.nodeId, 1)
  const runs: ReplicaPiece[] = []
  for (const from of [0, 4]) {
    await publish(
      a.store,
      Array.from({ length: 4 }, () => event(from, ['a'], 1)),
    )
    const piece = await a.store.replicas.read(stream, from, 1000)
    if (piece?.kind === 'run') runs.push({ kind: 'run', run: { ...piece.run, blockSignature: undefined } })
  }
  const [begin, rest] = runs as [ReplicaPiece, ReplicaPiece]
  await apply(b.store, begin)
  await settle(a)
  await pull(a.store, c.store)
  const block = await c.store.replicas.read(stream, 4, 1000)
  a.store.setRetention(new Map([['x', { ...KEEP_EVERYTHING, maxEvents: 1 }]]))
  for (let at = 0; at < 20; at++) await publish(a.store, [event(at, ['a'], 1)])
  await until(() => (a.store.replicas.status(stream)?.firstOffset ?? 0) >= 8)
  const head = await a.store.replicas.signHead(stream)
  t.equal((head && (await b.store.replicas.saveHead(head)))?.kind, 'ahead')
  await until(() => b.store.replicas.status(stream)?.firstOffset === 4)
  t.equal(block?.kind, 'block')
  t.same(block && (await apply(b.store, block)), { kind: 'known' })
  t.same(await apply(b.store, rest), { kind: 'known' })
  await settle(a)
  await pull(a.store, b.store)
  await sameInTheEnd(t, b, a)
})

t.test('a replica begins at what is left of a stream also with a head that is older than the prune', async (t) => {
  const [a, behind, fresh] = [await openReplica(t), await openReplica(t), await openReplica(t)]
  const stream = streamIdOf(a.store.nodeId, 1)
  for (let at = 0; at < 3; at++) await publish(a.store, [event(at, ['a'], 1)])
  await pull(a.store, behind.store)
  for (let at = 3; at < 20; at++) await publish(a.store, [event(at, ['a'], 1)])
  await settle(a)
  const piece = await a.store.replicas.read(stream, 16, 1000)
  a.store.setRetention(new Map([['x', { ...KEEP_EVERYTHING, maxEvents: 1 }]]))
  await until(() => a.store.replicas.status(stream)?.firstOffset === 16)
  const head = await a.store.replicas.signHead(stream)
  for (const { store } of [behind, fresh]) {
    t.equal((head && (await store.replicas.saveHead(head)))?.kind, 'ahead')
    if (store === behind.store) await until(() => store.replicas.status(stream)?.firstOffset === 3)
    t.same(piece && (await apply(store, piece)), { kind: 'applied', nextOffset: 20 })
    t.equal(store.replicas.status(stream)?.firstOffset, 16)
  }
})

t.test('what a replica learns to be pruned it can tell all others, whatever it learned it from', async (t) => {
  const [a, b, c] = [await openReplica(t), await openReplica(t), await openReplica(t)]
  const stream = streamIdOf(a.store.nodeId, 1)
  for (let at = 0; at < 20; at++) await publish(a.store, [event(at, ['a'], 1)])
  await settle(a)
  await pull(a.store, b.store)
  await pull(b.store, c.store)
  a.store.setRetention(new Map([['x', { ...KEEP_EVERYTHING, maxEvents: 1 }]]))
  await until(() => a.store.replicas.status(stream)?.firstOffset === 16)
  const part = await a.store.replicas.read(stream, 17, 1)
  t.equal(part?.kind === 'run' && part.run.head.nextOffset, 18, 'not all that there is')
  t.equal(part?.kind === 'run' && part.run.head.firstOffset, 0, 'which says no more than the newest head did')
  t.same(part && (await apply(b.store, part)), { kind: 'known' })
  const all = await a.store.replicas.read(stream, 17, 1000)
  t.same(all && (await apply(b.store, all)), { kind: 'known' }, 'the events are here, only the head is new')
  t.equal(b.store.replicas.status(stream)?.head?.firstOffset, 16)
  await until(() => b.store.replicas.status(stream)?.firstOffset === 16)
  await pull(b.store, c.store)
  await sameInTheEnd(t, c, b, 'without the owner')
})

t.test('a replica that was cut off goes on from what is whole, and the node publishes as before', async (t) => {
  const a = await openReplica(t)
  for (let at = 0; at < 22; at++) await publish(a.store, [event(at)])
  await settle(a)
  const stream = streamIdOf(a.store.nodeId, 0)
  const keys = new StreamKeys(stream)
  const damages: ((level: ClassicLevel<Buffer, Buffer>) => Promise<void>)[] = [
    (level) => level.del(keys.at('tail', 18)),
    (level) => level.put(keys.at('tail', 20), Buffer.alloc(50)),
    (level) => level.del(keys.at('tail', 21)),
    (level) => level.put(keys.record, Buffer.from('no record')),
    (level) => level.del(keys.record),
    (level) => level.del(keys.at('block', 8)).then(() => level.put(keys.record, Buffer.alloc(9))),
    (level) => level.put(keys.at('head', 16), Buffer.alloc(20)),
  ]
  for (const damage of damages) {
    const path = temporaryDirectory(t)
    let b = await openTestStore(path, { block: BLOCK })
    await b.store.registerStreams(NAMES)
    await publish(b.store, [event('own')])
    await pull(a.store, b.store)
    t.equal(b.store.replicas.status(stream)?.nextOffset, 22)
    await b.close()
    const place = join(path, 'topics', 'test', 'meta')
    const level = new ClassicLevel<Buffer, Buffer>(place, { keyEncoding: 'buffer', valueEncoding: 'buffer' })
    await level.open()
    await damage(level)
    await level.close()
    b = await openTestStore(path, { block: BLOCK })
    t.same(b.store.health, { writable: true, problems: [] })
    t.equal((await publish(b.store, [event('more')])).length, 1)
    const events = (await readAll(b.store)).filter((each) => each.stream === stream)
    t.same(
      events.map(({ offset }) => offset),
      Array.from(events, (_, at) => at),
      'what is left has no holes',
    )
    await pull(a.store, b.store)
    const wanted = JSON.stringify((await contentOf(a)).streams[0])
    const mended = async () => JSON.stringify((await contentOf(b)).streams.find((each) => each.stream === stream))
    await until(async () => (await mended()) === wanted).catch(() => undefined)
    t.equal(await mended(), wanted, 'and the rest is fetched again')
    await b.close()
  }
})

t.test(
  'a restored backup finds out, publishes nothing, and goes on in a new epoch without losing what others have',
  async (t) => {
    const path = temporaryDirectory(t)
    const backup = temporaryDirectory(t)
    let a = await openTestStore(path, { block: BLOCK })
    const b = await openReplica(t)
    await a.store.registerStreams(NAMES)
    for (let at = 0; at < 5; at++) await publish(a.store, [event(at, ['a'], 1)])
    await a.close()
    await cp(path, backup, { recursive: true })
    a = await openTestStore(path, { block: BLOCK })
    for (let at = 5; at < 25; at++) await publish(a.store, [event(at, ['a'], 1)])
    await settle(a)
    await pull(a.store, b.store)
    const stream = streamIdOf(a.store.nodeId, 1)
    const expected = await readAll(a.store)
    await a.close()
    await rm(path, { recursive: true })
    await cp(backup, path, { recursive: true })
    a = await openTestStore(path, { block: BLOCK })
    const { head } = b.store.replicas.status(stream) ?? {}
    t.same(await a.store.replicas.saveHead(head!), { kind: 'own-ahead' })
    t.match(a.store.replicas.ownAhead, [{ stream, nextOffset: 25 }])
    await t.rejects(publish(a.store, [event('no')]), { code: 'ERR_STORE_READ_ONLY' })
    await a.close()
    a = await openTestStore(path, { block: BLOCK })
    t.match(a.store.health, { writable: false, problems: [/older backup/] }, 'a restart does not make it forget')
    t.equal((await readAll(a.store)).length, 5, 'reads go on')
    t.equal(await a.store.replicas.beginEpoch(), 1)
    t.equal(a.store.health.writable, true)
    const [own] = await publish(a.store, [event('new', ['a'], 1)])
    t.match(own, { stream: streamIdOf(a.store.nodeId, 65_537), offset: 0, lamport: 25 })
    t.equal(a.store.replicas.status(stream)?.head?.nextOffset, 25, 'it knows what it lacks')
    await pull(b.store, a.store)
    await settle(a)
    t.same((await readAll(a.store)).slice(0, 25), expected, 'what others kept is back')
    await pull(a.store, b.store)
    t.same(await readAll(b.store), await readAll(a.store))
    await a.close()
    a = await openTestStore(path, { block: BLOCK })
    t.equal(a.store.replicas.epoch, 1)
    t.same(a.store.health, { writable: true, problems: [] })
    const [next] = await publish(a.store, [event('newer', ['a'], 1)])
    t.match(next, { stream: streamIdOf(a.store.nodeId, 65_537), offset: 1 })
    await a.close()
  },
)

t.test(
  'what is pruned of a stream after its epoch is signed by its owner, and nothing that others do not have',
  async (t) => {
    const path = temporaryDirectory(t)
    const backup = temporaryDirectory(t)
    let a = await openTestStore(path, { block: BLOCK })
    const b = await openReplica(t)
    const stream = streamIdOf(a.store.nodeId, 0)
    for (let at = 0; at < 30; at++) await publish(a.store, [event(at)])
    await settle(a)
    await a.close()
    await cp(path, backup, { recursive: true })
    a = await openTestStore(path, { block: BLOCK })
    for (let at = 30; at < 50; at++) await publish(a.store, [event(at)])
    await settle(a)
    await pull(a.store, b.store)
    await a.close()
    await rm(path, { recursive: true })
    await cp(backup, path, { recursive: true })
    a = await openTestStore(path, { block: BLOCK })
    t.teardown(() => a.close())
    const { head: newest } = b.store.replicas.status(stream)!
    t.match(await a.store.replicas.saveHead(newest!), { kind: 'own-ahead' })
    t.same(await a.store.replicas.signPast(), [], 'the stream is of this epoch')
    await a.store.replicas.beginEpoch()
    t.same(await a.store.replicas.signPast(), [], 'nothing is pruned yet')

    a.store.setRetention(new Map([['default', { ...KEEP_EVERYTHING, maxEvents: 8 }]]))
    await until(() => a.store.replicas.status(stream)!.firstOffset === 16)
    t.same(await a.store.replicas.signPast(), [stream])
    t.same(await a.store.replicas.signPast(), [], 'once')
    const { head: short } = a.store.replicas.status(stream)!
    const { nextOffset, hash, lamport, blockOffset } = newest!
    t.match(
      short,
      { nextOffset, hash, lamport, blockOffset, firstOffset: 16 },
      'of the end it says what it said before',
    )
    t.match(await b.store.replicas.saveHead(short!), { kind: 'saved' })
    await until(() => b.store.replicas.status(stream)!.firstOffset === 16)

    await pull(b.store, a.store)
    await until(() => a.store.replicas.status(stream)!.firstOffset === 40)
    t.same(await a.store.replicas.signPast(), [stream])
    await pull(a.store, b.store)
    await until(() => b.store.replicas.status(stream)!.firstOffset === 40)
    await sameInTheEnd(t, b, a)
    const c = await openReplica(t)
    await pull(b.store, c.store)
    await sameInTheEnd(t, c, a, 'who comes later lacks nothing')
  },
)

t.test('of two histories that are equally long neither is signed anew after an epoch', async (t) => {
  const paths = [temporaryDirectory(t), temporaryDirectory(t)]
  const first = await openTestStore(paths[0]!, { block: BLOCK })
  await publish(first.store, [event('common')])
  await first.close()
  await cp(paths[0]!, paths[1]!, { recursive: true })
  const [a, twin] = [await openTestStore(paths[0]!, { block: BLOCK }), await openTestStore(paths[1]!, { block: BLOCK })]
  t.teardown(() => Promise.all([a.close(), twin.close()]))
  const stream = streamIdOf(a.store.nodeId, 0)
  for (const { store } of [a, twin]) await publish(store, [event(store === a.store ? 1 : 2)])
  await a.store.replicas.beginEpoch()
  const theirs = await twin.store.replicas.signHead(stream)
  t.match(await a.store.replicas.saveHead(theirs!), { kind: 'fork' })
  t.same(await a.store.replicas.signPast(), [])
})
