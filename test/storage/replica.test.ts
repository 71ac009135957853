import { rm } from 'node:fs/promises'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { streamIdOf, type EventBatch } from '../../core/index.js'
import { KEEP_EVERYTHING, type ReplicaPiece, type Store } from '../../storage/index.js'
import { StreamKeys } from '../../storage/keys.js'
import { apply, pull, pullStream } from '../support/replica.js'
import { event, openTestStore, plainEvents, publish, readAll, until, type OpenedStore } from '../support/store.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const BLOCK = { maxEvents: 8, maxBytes: 500 }
const NAMES = ['default', 'x', 'y']

async function open(t: Test, settings = {}): Promise<OpenedStore> {
  const opened = await openTestStore(temporaryDirectory(t), { block: BLOCK, ...settings })
  t.teardown(() => opened.close())
  await opened.store.registerStreams(NAMES)
  return opened
}

/** Waits until of own streams everything is sealed and pruned that can be. */
async function settle({ store }: OpenedStore): Promise<void> {
  await until(async () => {
    const own = (await store.streams()).filter((each) => store.replicas.status(each.stream)?.own === true)
    return own.every(({ tailEvents, nextPrune }) => tailEvents < BLOCK.maxEvents && nextPrune.blocks === 0)
  })
}

/** All that must be equal where everything has arrived. */
async function contentOf({ store }: OpenedStore) {
  const streams = []
  for (const { stream, firstOffset, nextOffset, hash } of store.replicas.list()) {
    const seals = await store.replicas.readSeals(stream, 0, 10_000)
    const blocks = seals.map(({ firstOffset, nextOffset, signature }) => {
      return [firstOffset, nextOffset, Buffer.from(signature).toString('hex')]
    })
    streams.push({ stream, firstOffset, nextOffset, hash: hash.toString('hex'), blocks })
  }
  streams.sort((a, b) => (a.stream < b.stream ? -1 : 1))
  return { streams, events: await readAll(store), reversed: await readAll(store, 'desc') }
}

/** Exchanges all until the stores are equal. */
async function converge(stores: readonly OpenedStore[]): Promise<void> {
  await until(async () => {
    for (const from of stores) {
      await settle(from)
      for (const to of stores) if (from !== to) await pull(from.store, to.store)
    }
    const contents = await Promise.all(stores.map(contentOf))
    return contents.every((each) => JSON.stringify(each) === JSON.stringify(contents[0]))
  })
}

/** Replicas seal and prune in the background. */
async function sameInTheEnd(t: Test, one: OpenedStore, other: OpenedStore, message = 'equal'): Promise<void> {
  const isEqual = async () => JSON.stringify(await contentOf(one)) === JSON.stringify(await contentOf(other))
  await until(isEqual).catch(() => undefined)
  t.same(await contentOf(one), await contentOf(other), message)
}

t.test('a replica has the same events, blocks and hashes, and passes them on', async (t) => {
  const [a, b, c] = [await open(t), await open(t), await open(t)]
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
  const [a, b] = [await open(t), await open(t)]
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
  const [a, b] = [await open(t), await open(t)]
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
  const stores = [await open(t), await open(t), await open(t)]
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

t.test('only what is on disk is signed, whatever the mode', async (t) => {
  const { store } = await open(t, { sync: 'os' })
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
    const [a, b] = [await open(t), await open(t)]
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
  const [a, b, c] = [await open(t), await open(t), await open(t)]
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
  c.store.replicas.setLimits(new Map([[stream, { ...KEEP_EVERYTHING, maxEvents: 1 }]]))
  await until(() => (c.store.replicas.status(stream)?.firstOffset ?? 0) === 64)
  t.pass('and may keep less')
})

t.test('a replica that was cut off goes on from what is whole, and the node publishes as before', async (t) => {
  const a = await open(t)
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
    const b = await open(t)
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

interface Model {
  readonly pieces: ReplicaPiece[]
}

interface Real {
  readonly paths: readonly string[]
  readonly opened: OpenedStore[]
}

type Command = fc.AsyncCommand<Model, Real>

const command = (name: string, run: (model: Model, real: Real) => Promise<void>): Command => ({
  check: () => true,
  run,
  toString: () => name,
})

const store = ({ opened }: Real, at: number): Store => opened[at]!.store

const who = fc.nat(2)

const commands = [
  fc.tuple(who, fc.nat(2), fc.integer({ min: 1, max: 30 })).map(([at, stream, count]) =>
    command(`${String(at)} publishes ${String(count)} into ${String(stream)}`, async (_model, real) => {
      const events = Array.from({ length: count }, (_, index) =>
        event({ index }, ['all', `n:${String(index % 3)}`], stream),
      )
      await publish(store(real, at), events)
    }),
  ),
  fc.tuple(who, who, fc.integer({ min: 100, max: 3000 })).map(([from, to, bytes]) =>
    command(`${String(to)} pulls from ${String(from)}`, async (_model, real) => {
      if (from !== to) await pull(store(real, from), store(real, to), bytes)
    }),
  ),
  fc.tuple(who, fc.nat(60), fc.nat(2000)).map(([at, offset, bytes]) =>
    command(`a piece of ${String(at)} is kept for later`, async (model, real) => {
      for (const { stream } of store(real, at).replicas.list()) {
        const piece = await store(real, at).replicas.read(stream, offset, bytes)
        if (piece !== undefined && piece.kind !== 'pruned') model.pieces.push(piece)
      }
    }),
  ),
  fc.tuple(who, fc.nat(1000)).map(([at, which]) =>
    command(`${String(at)} gets an old piece`, async (model, real) => {
      const piece = model.pieces[which % Math.max(1, model.pieces.length)]
      if (piece === undefined) return
      const outcome = await apply(store(real, at), piece)
      if (outcome.kind === 'fork' || outcome.kind === 'malformed')
        throw new Error(`${outcome.kind}: ${JSON.stringify(outcome)}`)
    }),
  ),
  fc.tuple(who, fc.nat(1000), fc.nat(100_000)).map(([at, which, byte]) =>
    command(`${String(at)} gets a damaged piece`, async (model, real) => {
      const piece = model.pieces[which % Math.max(1, model.pieces.length)]
      if (piece?.kind !== 'block') return
      const bytes = Buffer.from(piece.bytes)
      bytes[byte % bytes.length]! ^= 1 << (byte % 8)
      const outcome = await store(real, at).replicas.applyBlock(bytes)
      if (outcome.kind === 'fork') throw new Error('damage is no fork')
    }),
  ),
  who.map((at) =>
    command(`${String(at)} restarts`, async (_model, { opened, paths }) => {
      await opened[at]!.close()
      opened[at] = await openTestStore(paths[at] ?? '', { block: BLOCK })
      if (!opened[at].store.health.writable) throw new Error(opened[at].store.health.problems.join())
    }),
  ),
  fc.tuple(who, fc.integer({ min: 5, max: 40 })).map(([at, maxEvents]) =>
    command(`${String(at)} keeps ${String(maxEvents)} events`, async (_model, real) => {
      store(real, at).setRetention(new Map([['y', { ...KEEP_EVERYTHING, maxEvents }]]))
      await settle(real.opened[at]!)
    }),
  ),
]

t.test('whatever comes in whatever order, all stores end up with the same streams', { timeout: 120_000 }, async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.commands(commands, { maxCommands: 30, size: 'max' }), async (sequence) => {
      const paths = [temporaryDirectory(t), temporaryDirectory(t), temporaryDirectory(t)]
      const opened: OpenedStore[] = []
      for (const path of paths) {
        const each = await openTestStore(path, { block: BLOCK })
        opened.push(each)
        await each.store.registerStreams(NAMES)
      }
      try {
        await fc.asyncModelRun(() => ({ model: { pieces: [] }, real: { paths, opened } }), sequence)
        await converge(opened)
        const [first, ...others] = await Promise.all(opened.map(contentOf))
        for (const other of others) {
          if (JSON.stringify(other) !== JSON.stringify(first)) throw new Error('stores differ')
        }
        if (opened.some(({ store }) => store.health.problems.length > 0)) throw new Error('there are problems')
      } finally {
        for (const each of opened) await each.close()
      }
    }),
    { numRuns: 12, interruptAfterTimeLimit: 25_000, endOnFailure: true },
  )
  t.pass()
})
