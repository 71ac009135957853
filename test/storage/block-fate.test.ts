import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import fc from 'fast-check'
import t from 'tap'
import { streamIdOf } from '../../core/index.js'
import { KEEP_EVERYTHING, type BlockStatus, type Retention, type Store } from '../../storage/index.js'
import { CutFinder, decisiveLimit, FateCursor, type BlockStand, type PicturedBlock } from '../../storage/block-fate.js'
import { countPrunable } from '../../storage/retention.js'
import { StreamKeys } from '../../storage/keys.js'
import { event, openTestStore, publish, readAll, until } from '../support/store.js'
import { openReplica, pull, settle } from '../support/replica.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const minute = 60_000_000
const start = 1_000_000_000_000
const SEALED: BlockStand = { stage: 'sealed', endsMicros: Infinity }

const limit = (max: number) => fc.oneof(fc.constant(Infinity), fc.integer({ min: 0, max }))

t.test('what is said of sealed blocks is what the decision about them says', (t) => {
  const block = fc.record({
    count: fc.integer({ min: 1, max: 20 }),
    storedBytes: fc.integer({ min: 1, max: 500 }),
    minTimestamp: fc.integer({ min: 0, max: 900 }),
    span: fc.integer({ min: 0, max: 100 }),
  })
  const limits = fc.record({ maxEvents: limit(200), maxStoredBytes: limit(3000), maxAgeMicros: limit(1000) })
  fc.assert(
    fc.property(fc.array(block, { maxLength: 12 }), limits, fc.nat(12), (drawn, limits, skipped) => {
      const retain = { ...KEEP_EVERYTHING, ...limits }
      let end = 0
      let storedBytes = 0
      const blocks = drawn.map(({ span, ...each }): PicturedBlock => {
        const firstOffset = end
        end += each.count
        storedBytes += each.storedBytes
        return { ...each, firstOffset, maxTimestamp: each.minTimestamp + span }
      })
      const total = { events: end, storedBytes, end }
      const cuts = new CutFinder(total, retain, 1000)
      for (const each of blocks) cuts.add(each)
      const rules = {
        retain,
        pruneMicros: 1000,
        isReplica: false,
        prunedByOwner: 0,
        stopped: undefined,
        clockJumped: false,
      } as const
      const deciding = { limit: decisiveLimit(retain, cuts.cuts, total, 1000), cuts: cuts.cuts }
      const fates = new FateCursor(total, rules, deciding)
      const said = blocks.map((each) => fates.next(each, SEALED))
      const prunable = countPrunable(blocks, total, retain, 1000)
      t.same(
        said.map(({ kind }) => kind),
        blocks.map((_, at) => (at < prunable ? 'goes' : 'held')),
      )
      // Passing over blocks in the middle changes nothing of what is said about later ones.
      const again = new FateCursor(total, rules, deciding)
      const to = Math.min(blocks.length, prunable + 1 + skipped)
      for (const each of blocks.slice(0, prunable + 1)) again.next(each, SEALED)
      again.skipTo(blocks[to]?.firstOffset ?? end)
      t.same(
        blocks.slice(to).map((each) => again.next(each, SEALED)),
        said.slice(to),
      )
      for (const fate of said) {
        if (fate.kind === 'held' && deciding.limit === undefined) t.equal(fate.by, 'noLimit')
      }
      const { maxEvents } = cuts.cuts
      t.equal(maxEvents?.offset, limits.maxEvents < end ? end - limits.maxEvents : undefined)
    }),
    { numRuns: 300 },
  )
  t.end()
})

function manualClock() {
  const clock = {
    micros: start,
    ms: 0,
    nowMicros: () => clock.micros,
    monotonicMs: () => clock.ms,
    pass(micros: number) {
      clock.ms += micros / 1000
      clock.micros += micros
    },
  }
  return clock
}

const BLOCK = { maxEvents: 4, maxBytes: 4096 }

/** Has everything pruned that can be at this moment. */
async function prune(store: Store, limits: ReadonlyMap<string, Retention>): Promise<void> {
  const before = performance.now()
  store.setRetention(limits)
  await until(() => store.metrics().pruneAgeSeconds * 1000 < performance.now() - before)
}

async function blocksOf(store: Store, number: number): Promise<readonly BlockStatus[]> {
  const page = await store.blocks(streamIdOf(store.nodeId, number), { from: undefined, limit: 1000, order: 'asc' })
  return page?.blocks ?? []
}

t.test('a block that is said to go is gone after the prune, and one that is said to be held is there', async (t) => {
  const seen = new Map<string, number>()
  const note = (kind: string) => seen.set(kind, (seen.get(kind) ?? 0) + 1)
  const limits = fc.record({ maxEvents: limit(40), maxStoredBytes: limit(6000), maxAgeMicros: limit(30 * minute) })
  const commit = fc.record({
    stream: fc.nat(2),
    events: fc.integer({ min: 1, max: 6 }),
    // Before now, µs: times may fall.
    age: fc.nat(40 * minute),
  })
  const commits = fc.array(commit, { minLength: 5, maxLength: 40 })
  const property = fc.asyncProperty(
    commits,
    fc.tuple(limits, limits),
    fc.boolean(),
    fc.nat(20 * minute),
    async (commits, drawn, jumps, later) => {
      const clock = manualClock()
      const opened = await openTestStore(temporaryDirectory(t), { clock, block: BLOCK, sync: 'os' })
      const { store } = opened
      try {
        await store.registerStreams(['default', 'one', 'two'])
        for (const { stream, events, age } of commits) {
          const list = Array.from({ length: events }, (_, at) =>
            event({ at, text: 'x'.repeat(age % 300) }, ['a'], stream),
          )
          await publish(store, list, start - age)
        }
        await until(async () => (await store.streams()).every(({ tailEvents }) => tailEvents < BLOCK.maxEvents))
        if (jumps) clock.micros += 24 * 60 * minute
        const retention = new Map(
          drawn.map((each, at) => [['one', 'two'][at] ?? '', { ...KEEP_EVERYTHING, ...each }] as const),
        )
        const changes = await store.previewRetention(retention)
        // What is said is said of the limits in force, so these come first, and their prune with them.
        const before = await store.streams()
        await prune(store, retention)
        const after = await store.streams()
        for (const { name, blocks, events } of changes) {
          const [was, is] = [before, after].map((list) => list.find((each) => each.name === name))
          t.same([(was?.blocks ?? 0) - (is?.blocks ?? 0), (was?.events ?? 0) - (is?.events ?? 0)], [blocks, events])
        }
        clock.pass(later)
        const due = (await store.streams()).map(({ nextPruneMicros }) => nextPruneMicros ?? 0)
        const pictures = await Promise.all([0, 1, 2].map((number) => blocksOf(store, number)))
        clock.pass(Math.max(...due) - clock.micros)
        await prune(store, retention)
        for (const [number, picture] of pictures.entries()) {
          const left = new Set((await blocksOf(store, number)).map(({ firstOffset }) => firstOffset))
          for (const { firstOffset, fate } of picture) {
            t.ok(fate)
            if (fate === undefined) continue
            t.equal(left.has(firstOffset), fate.kind === 'held', JSON.stringify(fate))
            note(fate.kind === 'goes' ? 'goes' : fate.by)
          }
        }
      } finally {
        await opened.close()
      }
    },
  )
  // Meets each of the fates below: what is drawn may miss one.
  const young = { maxEvents: Infinity, maxStoredBytes: Infinity, maxAgeMicros: 30 * minute }
  const example = [
    { stream: 0, events: 2, age: 0 },
    { stream: 1, events: 4, age: 0 },
    { stream: 1, events: 4, age: 40 * minute },
    { stream: 2, events: 4, age: 25 * minute },
    { stream: 2, events: 2, age: 25 * minute },
  ]
  await fc.assert(property, { numRuns: 25, examples: [[example, [young, young], false, 10 * minute]] })
  for (const kind of ['goes', 'inside', 'notFull', 'noLimit', 'behind']) t.ok(seen.get(kind), `${kind} was met`)
})

t.test('each reason to stay ends when it is said to end', async (t) => {
  const clock = manualClock()
  const opened = await openTestStore(temporaryDirectory(t), { clock, block: BLOCK })
  t.teardown(() => opened.close())
  const { store } = opened
  await store.registerStreams(['default', 'short'])
  const limits = new Map([['short', { ...KEEP_EVERYTHING, maxAgeMicros: 10 * minute, maxBlockAgeMicros: 20 * minute }]])
  await prune(store, limits)
  for (let at = 0; at < 6; at++) {
    await publish(store, [event(at, ['a'], 1)], clock.micros)
    clock.pass(minute)
  }
  await until(() => store.metrics().sealedBlocks === 1)
  const [sealed, open] = await blocksOf(store, 1)
  t.match(sealed, { number: 0, events: 4, sealed: true, state: 'ok' })
  t.match(sealed?.fate, { kind: 'held', by: 'inside', limit: 'maxAge', untilMicros: start + 13 * minute, isOld: false })
  t.match(open, { number: 1, firstOffset: 4, events: 2, sealed: false, fate: { by: 'inside', limit: 'maxAge' } })
  const page = await store.blocks(streamIdOf(store.nodeId, 1), { from: undefined, limit: 1, order: 'desc' })
  t.match(page, { hasMore: true, blocks: [{ number: 1, firstOffset: 4 }] })
  t.same(page?.open, {
    firstOffset: 4,
    events: 2,
    payloadBytes: 2,
    ...BLOCK,
    endsMicros: start + 24 * minute,
  })

  clock.pass(5.5 * minute)
  t.match((await blocksOf(store, 1))[0]?.fate, { by: 'inside', isOld: true }, 'its oldest two events are beyond')
  const [status] = await store.streams()
  t.equal(status?.cuts.maxAge?.timestamp, clock.micros - 10 * minute)
  t.equal(status?.decidingLimit, 'maxAge')
  clock.pass(1.6 * minute)
  t.same((await blocksOf(store, 1))[0]?.fate, { kind: 'goes', by: 'maxAge' })
  await prune(store, limits)
  t.same((await blocksOf(store, 1)).length, 1)

  clock.pass(4 * minute)
  t.match((await blocksOf(store, 1))[0]?.fate, { by: 'notFull', limit: 'maxAge', untilMicros: start + 24 * minute })
  clock.pass(7 * minute)
  await prune(store, limits)
  await until(async () => (await blocksOf(store, 1)).length === 0)
})

t.test('what nobody has limited is held by nothing, and where the clock jumped ages do not count', async (t) => {
  const clock = manualClock()
  const opened = await openTestStore(temporaryDirectory(t), { clock, block: BLOCK })
  t.teardown(() => opened.close())
  const { store } = opened
  await store.registerStreams(['default', 'short'])
  await publish(
    store,
    [0, 1].flatMap((number) => Array.from({ length: 5 }, (_, at) => event(at, ['a'], number))),
    clock.micros,
  )
  await until(() => store.metrics().sealedBlocks === 2)
  for (const { fate } of await blocksOf(store, 0)) {
    t.same(fate, { kind: 'held', by: 'noLimit', limit: undefined, untilMicros: undefined, isOld: false })
  }
  clock.micros += 24 * 60 * minute
  await prune(store, new Map([['short', { ...KEEP_EVERYTHING, maxAgeMicros: minute }]]))
  t.match((await blocksOf(store, 1))[0]?.fate, { by: 'clockJump', limit: 'maxAge', isOld: true })
  t.equal(await store.blocks(streamIdOf(store.nodeId, 7), { from: 0, limit: 1, order: 'asc' }), undefined)
})

t.test('blocks of another node are held by it until it has pruned them', async (t) => {
  const [a, b] = [await openReplica(t), await openReplica(t)]
  for (let at = 0; at < 20; at++) await publish(a.store, [event(at, ['a'], 1)])
  await settle(a)
  await pull(a.store, b.store)
  const stream = streamIdOf(a.store.nodeId, 1)
  const held = async () => (await b.store.blocks(stream, { from: undefined, limit: 10, order: 'asc' }))?.blocks ?? []
  await until(async () => (await held()).filter(({ sealed }) => sealed).length === 2)
  for (const { fate } of await held()) t.match(fate, { kind: 'held', by: 'owner', limit: undefined })
  await prune(a.store, new Map([['x', { ...KEEP_EVERYTHING, maxEvents: 5 }]]))
  await settle(a)
  await pull(a.store, b.store)
  await until(async () => (await held())[0]?.firstOffset === 8)
})

t.test('holes and damaged entries of the index are shown as what they are', async (t) => {
  const path = temporaryDirectory(t)
  const opened = await openTestStore(path, { block: BLOCK })
  await publish(
    opened.store,
    Array.from({ length: 26 }, (_, at) => event(at)),
  )
  await until(() => opened.store.metrics().sealedBlocks === 6)
  const { nodeId } = opened.store
  await opened.close()
  const stream = streamIdOf(nodeId, 0)
  const meta = new ClassicLevel<Buffer, Buffer>(join(path, 'topics', 'test', 'meta'), {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
  })
  const keys = new StreamKeys(stream)
  await meta.del(keys.at('block', 8))
  await meta.put(keys.at('block', 16), Buffer.from('damaged'))
  await meta.close()
  const again = await openTestStore(path, { block: BLOCK })
  t.teardown(() => again.close())
  const expected = [
    [0, 4, 'ok'],
    [4, 4, 'ok'],
    [8, 4, 'missing'],
    [12, 4, 'ok'],
    [16, 4, 'damaged'],
    [20, 4, 'ok'],
    [24, 2, 'ok'],
  ]
  for (const order of ['asc', 'desc'] as const) {
    const { blocks = [] } = (await again.store.blocks(stream, { from: undefined, limit: 100, order })) ?? {}
    const found = blocks.map(({ firstOffset, events, state }) => [firstOffset, events, state])
    t.same(order === 'asc' ? found : found.toReversed(), expected, order)
    for (const { state, fate } of blocks) {
      if (state === 'ok') t.match(fate, { kind: 'held', by: 'damage' }, 'nothing of such a stream is pruned')
      else t.equal(fate, undefined)
    }
  }
  const part = await again.store.blocks(stream, { from: 13, limit: 2, order: 'asc' })
  t.same(
    part?.blocks.map(({ firstOffset, state }) => [firstOffset, state]),
    [
      [12, 'ok'],
      [16, 'damaged'],
    ],
  )
})

t.test('what a read finds gone or damaged is shown from then on, and is a problem that names its stream', async (t) => {
  const path = temporaryDirectory(t)
  const opened = await openTestStore(path, { block: BLOCK })
  await publish(
    opened.store,
    Array.from({ length: 10 }, (_, at) => event(at)),
  )
  await until(() => opened.store.metrics().sealedBlocks === 2)
  const { nodeId } = opened.store
  await opened.close()
  const stream = streamIdOf(nodeId, 0)
  const stored = new ClassicLevel<Buffer, Buffer>(join(path, 'topics', 'test', 'blocks'), {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
  })
  await stored.clear()
  await stored.close()
  const again = await openTestStore(path, { block: BLOCK })
  t.teardown(() => again.close())
  const states = async () => (await blocksOf(again.store, 0)).map(({ state }) => state)
  t.same(await states(), ['ok', 'ok', 'ok'], 'nothing of them has been read')
  const before = Date.now() * 1000
  await t.rejects(readAll(again.store), { code: 'ERR_STORE_CORRUPT' })
  t.same(await states(), ['missing', 'ok', 'ok'])
  const [problem] = again.store.problems()
  t.match(problem, { kind: 'corrupt', stream })
  t.ok((problem?.sinceMicros ?? 0) >= before)
  await t.rejects(readAll(again.store), { code: 'ERR_STORE_CORRUPT' })
  t.equal(again.store.problems()[0]?.sinceMicros, problem?.sinceMicros, 'it is told since when')
})

t.test('the time of an event is told, of a sealed one by its block', async (t) => {
  const opened = await openTestStore(temporaryDirectory(t), { block: BLOCK })
  t.teardown(() => opened.close())
  const { store } = opened
  for (let at = 0; at < 6; at++) await publish(store, [event(at)], start + at)
  await until(() => store.metrics().sealedBlocks === 1)
  const stream = streamIdOf(store.nodeId, 0)
  const times = await Promise.all([0, 3, 4, 5, 6].map((offset) => store.timestampAt(stream, offset)))
  t.same(times, [start, start, start + 4, start + 5, undefined])
  t.equal(await store.timestampAt(streamIdOf(store.nodeId, 9), 0), undefined)
})

t.test('tags come from the index and from what is not yet in it, and it is said when there are more', async (t) => {
  const opened = await openTestStore(temporaryDirectory(t), { block: BLOCK })
  t.teardown(() => opened.close())
  const { store } = opened
  for (let at = 0; at < 10; at++) await publish(store, [event(at, [`m:${String(at)}`, 'all', 'größe'])])
  await until(() => store.metrics().sealedBlocks === 2)
  t.same(await store.tags('', 100), {
    tags: ['all', 'größe', ...Array.from({ length: 10 }, (_, at) => `m:${String(at)}`)],
    complete: true,
  })
  t.same(await store.tags('m:', 3), { tags: ['m:0', 'm:1', 'm:2'], complete: false })
  t.same(await store.tags('nothing', 3), { tags: [], complete: true })
  const many = Array.from({ length: 100 }, (_, at) => `many:${String(at)}`)
  await publish(
    store,
    Array.from({ length: 4 }, () => event(1, many)),
  )
  await until(() => store.metrics().sealedBlocks === 3)
  t.match(await store.tags('all', 100), { complete: false }, 'a block with many tags does not name them')
})
