import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import type { Store } from '../../storage/index.js'
import { countPrunable, KEEP_EVERYTHING, type PrunableBlock, type Retention } from '../../storage/retention.js'
import { ClockGuard } from '../../storage/clock-guard.js'
import { DiskUsage } from '../../storage/disk-usage.js'
import { systemClock } from '../../core/index.js'
import { event, openTestStore, publish, readAll, until, type StoreSettings } from '../support/store.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

/** Blocks as the reference has them in its measured table: 40,000 events, sealed at these offsets, 5 MB in all. */
const BOUNDARIES = [8235, 16471, 24707, 32942]
const BYTES_PER_EVENT = 125
/** One event every 10 ms, from time 0 on, µs. */
const sealed: PrunableBlock[] = BOUNDARIES.map((end, at) => {
  const count = end - (BOUNDARIES[at - 1] ?? 0)
  return { count, storedBytes: count * BYTES_PER_EVENT, maxTimestamp: (end - 1) * 10_000 }
})
const total = { events: 40_000, storedBytes: 40_000 * BYTES_PER_EVENT }
const minute = 60_000_000
const published = 40_000 * 10_000

const table: { name: string; retain: Partial<Retention>; now?: number; oldest: number }[] = [
  { name: 'maxEvents 10,000', retain: { maxEvents: 10_000 }, oldest: 24_707 },
  { name: 'maxEvents 1 leaves the tail', retain: { maxEvents: 1 }, oldest: 32_942 },
  { name: 'maxEvents 0 leaves the tail', retain: { maxEvents: 0 }, oldest: 32_942 },
  { name: 'maxSize 1 MB', retain: { maxStoredBytes: 1e6 }, oldest: 24_707 },
  { name: 'maxSize above what is stored', retain: { maxStoredBytes: 20e6 }, oldest: 0 },
  {
    name: 'maxAge 5 min, all older',
    retain: { maxAgeMicros: 5 * minute },
    now: published + 6 * minute,
    oldest: 32_942,
  },
  { name: 'maxAge 1 h, all younger', retain: { maxAgeMicros: 60 * minute }, oldest: 0 },
  {
    name: 'the tightest of three limits decides',
    retain: { maxEvents: 30_000, maxAgeMicros: 5 * minute, maxStoredBytes: 3e6 },
    now: published + 6 * minute,
    oldest: 32_942,
  },
  { name: 'no limit', retain: {}, oldest: 0 },
]

for (const { name, retain, now = published, oldest } of table) {
  const blocks = countPrunable(sealed, total, { ...KEEP_EVERYTHING, ...retain }, now)
  t.equal(blocks === 0 ? 0 : BOUNDARIES[blocks - 1], oldest, `as the reference: ${name}`)
}

t.test('limits inside blocks', (t) => {
  // Three sealed blocks of 10 events and 100 stored bytes; their newest events are at 1 s, 2 s and 3 s.
  const three = [1e6, 2e6, 3e6].map((maxTimestamp) => ({ count: 10, storedBytes: 100, maxTimestamp }))
  const all = { events: 30, storedBytes: 300 }
  const cases: { name: string; retain: Partial<Retention>; expected: number }[] = [
    { name: 'maxEvents inside a block: that block stays', retain: { maxEvents: 11 }, expected: 1 },
    { name: 'maxEvents at a boundary: exactly those stay', retain: { maxEvents: 10 }, expected: 2 },
    { name: 'an event exactly maxAge old stays', retain: { maxAgeMicros: 9e6 }, expected: 0 },
    { name: 'one a microsecond older goes', retain: { maxAgeMicros: 9e6 - 1 }, expected: 1 },
    { name: 'the tightest bound decides', retain: { maxEvents: 20, maxStoredBytes: 1 }, expected: 2 },
    { name: 'nothing need be left', retain: { maxEvents: 0 }, expected: 3 },
  ]
  for (const { name, retain, expected } of cases) {
    t.equal(countPrunable(three, all, { ...KEEP_EVERYTHING, ...retain }, 10e6), expected, name)
  }
  t.end()
})

t.test('what is left keeps every limit, and is at most one block more', (t) => {
  const block = fc.record({
    count: fc.integer({ min: 1, max: 20 }),
    storedBytes: fc.integer({ min: 1, max: 500 }),
    maxTimestamp: fc.integer({ min: 0, max: 1000 }),
  })
  const limit = (max: number) => fc.oneof(fc.constant(Infinity), fc.integer({ min: 0, max }))
  const limits = fc.record({ maxEvents: limit(200), maxStoredBytes: limit(3000), maxAgeMicros: limit(1000) })
  fc.assert(
    fc.property(fc.array(block, { maxLength: 12 }), limits, fc.nat(30), (blocks, limits, tail) => {
      const retain = { ...KEEP_EVERYTHING, ...limits }
      const sum = (list: PrunableBlock[], of: (block: PrunableBlock) => number) => list.reduce((n, b) => n + of(b), 0)
      const totals = {
        events: tail + sum(blocks, ({ count }) => count),
        storedBytes: 10 * tail + sum(blocks, ({ storedBytes }) => storedBytes),
      }
      const now = 1000
      const dropped = blocks.slice(0, countPrunable(blocks, totals, retain, now))
      const kept = blocks.slice(dropped.length)
      const leftEvents = totals.events - sum(dropped, ({ count }) => count)
      const leftBytes = totals.storedBytes - sum(dropped, ({ storedBytes }) => storedBytes)
      const young = (b: PrunableBlock) => b.maxTimestamp >= now - retain.maxAgeMicros
      // What went lay outside of a limit.
      const last = dropped.at(-1)
      if (last !== undefined && young(last)) {
        t.ok(
          leftEvents >= retain.maxEvents || leftBytes >= retain.maxStoredBytes,
          'not more went than a limit asks for',
        )
      }
      // The oldest block that is left is needed by every limit.
      const [first] = kept
      if (first !== undefined) {
        t.ok(
          young(first) &&
            leftEvents - first.count < retain.maxEvents &&
            leftBytes - first.storedBytes < retain.maxStoredBytes,
        )
      }
    }),
    { numRuns: 200 },
  )
  t.end()
})

/** A clock that tests set. */
function manualClock() {
  const clock = {
    micros: 1_000_000_000_000,
    ms: 0,
    nowMicros: () => clock.micros,
    monotonicMs: () => clock.ms,
    pass(ms: number) {
      clock.ms += ms
      clock.micros += ms * 1000
    },
  }
  return clock
}

t.test('a jump of the wall clock is remembered until an hour of agreement', (t) => {
  const clock = manualClock()
  const guard = new ClockGuard(clock)
  t.equal(guard.check(), 0)
  clock.pass(60_000)
  clock.micros += 4 * minute
  t.equal(guard.check(), 0, 'four minutes are no jump')
  clock.micros += 2 * minute
  t.equal(guard.check(), 6 * 60_000, 'six are')
  clock.pass(59 * 60_000)
  t.not(guard.check(), 0, 'still remembered')
  clock.micros -= 10 * minute
  t.equal(guard.check(), -10 * 60_000, 'jumps back count too')
  clock.pass(59 * 60_000)
  t.not(guard.check(), 0, 'the hour begins with the latest jump')
  clock.pass(60_000)
  t.equal(guard.check(), 0)
  t.end()
})

const ephemeral = (limits: Partial<Retention>) => new Map([['short', { ...KEEP_EVERYTHING, ...limits }]])

async function openShort(path: string, settings: StoreSettings = {}) {
  const opened = await openTestStore(path, settings)
  const numbers = await opened.store.registerStreams(['default', 'short'])
  return { ...opened, number: numbers.get('short') ?? -1 }
}

t.test('a limited stream keeps its newest events and goes on counting; others keep all', async (t) => {
  const path = temporaryDirectory(t)
  let opened = await openShort(path)
  opened.store.setRetention(ephemeral({ maxEvents: 20 }))
  for (let at = 0; at < 100; at++) await publish(opened.store, [event(at, ['s'], opened.number), event(at, ['d'], 0)])
  await until(() => opened.store.metrics().sealedBlocks === 12)
  opened.store.setRetention(ephemeral({ maxEvents: 20 }))
  await until(() => opened.store.metrics().prunedBlocks === 5)
  const check = async () => {
    const [all, short] = await opened.store.streams()
    t.match(short, { name: 'short', firstOffset: 80, nextOffset: 100, events: 20, blocks: 1, tailEvents: 4 })
    t.equal(short?.nextPrune.heldBackBy, 'within-limits')
    t.match(all, { name: 'default', firstOffset: 0, nextOffset: 100, events: 100 })
    t.equal(all?.nextPrune.heldBackBy, 'no-limit')
    const left = (await readAll(opened.store)).filter(({ tags }) => tags.includes('s'))
    t.same(
      left.map(({ offset }) => offset),
      Array.from({ length: 20 }, (_, at) => 80 + at),
    )
    t.same((await readAll(opened.store, 'desc')).toReversed(), await readAll(opened.store))
  }
  await check()
  await opened.close()
  opened = await openShort(path)
  opened.store.setRetention(ephemeral({ maxEvents: 20 }))
  await check()
  t.equal((await publish(opened.store, [event(1, ['s'], opened.number)]))[0]?.offset, 100)
  opened.store.setRetention(ephemeral({ maxEvents: 0 }))
  await until(() => opened.store.metrics().prunedBlocks === 1)
  t.equal((await readAll(opened.store)).filter(({ tags }) => tags.includes('s')).length, 5, 'the tail stays')
  await opened.close()
})

t.test('groups of blocks are skipped, pruned and read like blocks', async (t) => {
  const path = temporaryDirectory(t)
  const opened = await openShort(path, { block: { maxEvents: 2, maxBytes: 4096 } })
  const { store, number } = opened
  const events = Array.from({ length: 400 }, (_, at) => event(at, [`hundred:${String(Math.floor(at / 100))}`], number))
  for (let at = 0; at < 400; at += 40) await publish(store, events.slice(at, at + 40))
  await until(() => store.metrics().sealedBlocks === 200)
  const selection = { kind: 'tags', anyOf: new Set(['hundred:3']) } as const
  const request = { selection, order: 'asc', lowerBound: new Map(), upperBound: store.offsets() } as const
  t.same(await store.plan(request), { streams: 1, blocks: 50, blocksSkipped: 150, tailEvents: 0 })
  for (const order of ['asc', 'desc'] as const) {
    const found = (await readAll(store, order, selection)).map(({ offset }) => offset)
    t.same(
      order === 'asc' ? found : found.toReversed(),
      Array.from({ length: 100 }, (_, at) => 300 + at),
      order,
    )
  }
  store.setRetention(ephemeral({ maxEvents: 230 }))
  await until(() => store.metrics().prunedBlocks === 85)
  for (const tag of [0, 1, 2, 3]) {
    const found = await readAll(store, tag % 2 === 0 ? 'asc' : 'desc', {
      kind: 'tags',
      anyOf: new Set([`hundred:${String(tag)}`]),
    })
    t.equal(found.length, [0, 30, 100, 100][tag], `of hundred ${String(tag)}`)
  }
  await opened.close()
})

t.test('a slow block is sealed when it is old enough, so that maxAge holds', async (t) => {
  const clock = manualClock()
  const opened = await openShort(temporaryDirectory(t), { clock })
  const { store, number } = opened
  store.setRetention(ephemeral({ maxAgeMicros: minute, maxBlockAgeMicros: minute }))
  await publish(store, [event('old', ['s'], number)], clock.micros)
  clock.pass(30_000)
  store.setRetention(ephemeral({ maxAgeMicros: minute, maxBlockAgeMicros: minute }))
  await publish(store, [event('young', ['s'], number)], clock.micros)
  t.equal((await readAll(store)).length, 2)
  clock.pass(31_000)
  store.setRetention(ephemeral({ maxAgeMicros: minute, maxBlockAgeMicros: minute }))
  await until(() => store.metrics().sealedBlocks === 1)
  t.equal((await readAll(store)).length, 2, 'the block holds a young event')
  clock.pass(61_000)
  store.setRetention(ephemeral({ maxAgeMicros: minute, maxBlockAgeMicros: minute }))
  await until(() => store.metrics().prunedBlocks === 1)
  t.same(await readAll(store), [])
  t.match(await store.streams(), [{ firstOffset: 2, nextOffset: 2, events: 0, oldestTimestamp: undefined }])
  await opened.close()
})

t.test('after a clock jump nothing goes by age, and the operator can see why', async (t) => {
  const clock = manualClock()
  const opened = await openShort(temporaryDirectory(t), { clock })
  const { store, number } = opened
  const limits = ephemeral({ maxAgeMicros: minute })
  store.setRetention(limits)
  await publish(
    store,
    Array.from({ length: 32 }, (_, at) => event(at, ['s'], number)),
    clock.micros,
  )
  await until(() => store.metrics().sealedBlocks === 2)
  clock.micros += 24 * 60 * minute
  store.setRetention(limits)
  await until(() => store.health.problems.length > 0)
  t.match(store.health, { writable: true, problems: [/clock jumped forward by 86400 s/] })
  t.equal((await readAll(store)).length, 32)
  t.equal((await store.streams())[0]?.nextPrune.heldBackBy, 'clock-jump')
  clock.pass(60 * 60_000)
  store.setRetention(limits)
  await until(() => store.metrics().prunedBlocks === 2)
  t.same(store.health, { writable: true, problems: [] })
  await opened.close()
})

t.test('a read that is under way skips what a prune takes from it', async (t) => {
  const opened = await openShort(temporaryDirectory(t))
  const { store, number } = opened
  for (let at = 0; at < 40; at++)
    await publish(
      store,
      Array.from({ length: 16 }, (_, of) => event({ at, of }, ['s'], number)),
    )
  await until(() => store.metrics().sealedBlocks === 40)
  for (const order of ['asc', 'desc'] as const) {
    const request = { selection: { kind: 'all' }, order, lowerBound: new Map(), upperBound: store.offsets() } as const
    const read = store.read(request)
    const first = await read.next()
    t.equal(first.done, false)
    const before = store.metrics().prunedBlocks
    store.setRetention(ephemeral({ maxEvents: order === 'asc' ? 300 : 100 }))
    await until(() => store.metrics().prunedBlocks > before)
    let events = 0
    for await (const batch of read) events += batch.length
    t.ok(events >= 80, `${order}: the survivors are all delivered (${String(events)})`)
  }
  await opened.close()
})

t.test('the disk is given back', async (t) => {
  const path = temporaryDirectory(t)
  const opened = await openShort(path, { clock: systemClock, block: { maxEvents: 64, maxBytes: 1_000_000 } })
  const { store, number } = opened
  store.setRetention(ephemeral({ maxStoredBytes: 1_000_000 }))
  await publishNoise(store, number, 10_000)
  await until(async () => {
    const [status] = await store.streams()
    return status?.tailEvents === 10_000 % 64 && status.nextPrune.blocks === 0
  })
  const [status] = await store.streams()
  t.ok((status?.storedBytes ?? Infinity) < 1_000_000 + 2 * 200_000, 'the stream is within its limit plus a block')
  await until(async () => (await readAllBytes(path)) < 30_000_000)
  t.pass('so is the directory, with what one node may take on top')
  await opened.close()
})

t.test('records of the tail leave the disk some time after their blocks were sealed', async (t) => {
  const path = temporaryDirectory(t)
  const opened = await openShort(path, { clock: systemClock, block: { maxEvents: 64, maxBytes: 1_000_000 } })
  const { store, number } = opened
  await publishNoise(store, number, 3_000)
  await until(() => store.metrics().sealedBlocks === Math.floor(3_000 / 64))
  t.ok((await readAllBytes(path)) > 6_000_000, 'of what is sealed nothing is deleted')
  await until(async () => (await readAllBytes(join(path, 'topics', 'test', 'meta'))) < 1_000_000)
  await opened.close()
})

/** Payloads of about 4 KB, half of it noise: 10,000 of them take at least 24 MB. */
async function publishNoise(store: Store, streamNumber: number, count: number): Promise<void> {
  let noise = 1
  const text = () =>
    Array.from({ length: 1000 }, () => ((noise = (noise * 48271) % 2147483647) % 65536).toString(16)).join('')
  for (let at = 0; at < count; at += 100)
    await publish(
      store,
      Array.from({ length: 100 }, () => event(text(), ['s'], streamNumber)),
    )
}

async function readAllBytes(path: string): Promise<number> {
  const usage = new DiskUsage(path)
  await usage.measure()
  return usage.latest().bytes
}
