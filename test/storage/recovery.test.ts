import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { ClassicLevel } from 'classic-level'
import t from 'tap'
import { blockKey } from '../../storage/block.js'
import { systemClock } from '../../core/index.js'
import { DataDirectory, encodeTopic, KEEP_EVERYTHING } from '../../storage/index.js'
import { StreamKeys } from '../../storage/keys.js'
import { event, openTestStore, publish, readAll, until, type StoreSettings } from '../support/store.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const topicPath = (path: string) => join(path, 'topics', 'test')

/** Lets a test write into a closed store behind its back. */
async function tamper(
  path: string,
  name: 'meta' | 'blocks',
  work: (level: ClassicLevel<Buffer, Buffer>) => Promise<void>,
): Promise<void> {
  const level = new ClassicLevel<Buffer, Buffer>(join(topicPath(path), name), {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    compression: false,
  })
  await level.open()
  await work(level)
  await level.close()
}

/** A closed store with `events` events, one a commit, of which all whole sixteens are sealed. */
async function storeWith(path: string, events: number, settings: StoreSettings = {}): Promise<StreamKeys> {
  const { store, close } = await openTestStore(path, settings)
  for (let at = 0; at < events; at++) await publish(store, [event(at)])
  await until(() => store.metrics().sealedBlocks === Math.floor(events / 16))
  await close()
  return new StreamKeys([...store.offsets().keys()][0] ?? '')
}

async function refusal(path: string): Promise<{ code?: string; message?: string }> {
  try {
    const { close } = await openTestStore(path)
    await close()
    return {}
  } catch (error) {
    return error as { code?: string; message?: string }
  }
}

t.test('a data directory is used by one process at a time', async (t) => {
  const path = temporaryDirectory(t)
  const first = await DataDirectory.open(path)
  await t.rejects(DataDirectory.open(path), { code: 'ERR_STORE_LOCKED', message: /process \d+/ })
  await first.close()
  await first.close()
  const second = await DataDirectory.open(path)
  t.equal(second.nodeId, first.nodeId, 'the identity stays')
  await second.close()
  // A process that is gone, by its number, its start or the boot.
  for (const holder of [{ pid: 2 ** 22 + 1 }, { pid: process.pid, started: '1', boot: 'x' }, 'torn']) {
    await writeFile(join(path, 'lock'), typeof holder === 'string' ? holder : JSON.stringify(holder))
    await (await DataDirectory.open(path)).close()
    t.pass('a stale lock is taken over')
  }
})

t.test('blocks that are still open survive other limits, however often these change', async (t) => {
  const path = temporaryDirectory(t)
  const expected: number[] = []
  for (const maxEvents of [200, 30, 500, 1, 64]) {
    const opened = await openTestStore(path, { block: { maxEvents, maxBytes: 1 << 20 } })
    t.same(opened.store.health, { writable: true, problems: [] })
    for (const size of [1, 20, 3, 40]) {
      const events = Array.from({ length: size }, (_, at) => event(expected.length + at, [`tag-${String(size)}`]))
      await publish(opened.store, events)
      expected.push(...events.map((_, at) => expected.length + at))
    }
    t.same(
      (await readAll(opened.store)).map(({ payload }) => payload),
      expected,
    )
    await opened.close()
  }
})

t.test('topics have folders of their own, none of which climbs', (t) => {
  const topics = [
    'a/b',
    'a_b',
    'a%2Fb',
    '..',
    '.',
    'A',
    'a',
    '\u00fc',
    'x'.repeat(300),
    'y'.repeat(300),
    "it's (a) *topic*!~",
  ]
  const names = topics.map(encodeTopic)
  t.equal(new Set(names).size, topics.length, 'one to one')
  for (const name of names) t.match(name, /^[A-Za-z0-9_%#-]{1,200}$/)
  for (const topic of ['', '\ud800']) t.throws(() => encodeTopic(topic), { code: 'ERR_DATA_DIRECTORY' })
  t.end()
})

t.test('a store that lacks something says what, and how to mend it', async (t) => {
  const path = temporaryDirectory(t)
  await storeWith(path, 40)
  const cases = [
    { file: 'topics/test', code: 'ERR_STORE_MISSING' },
    { file: 'topics/test/meta', code: 'ERR_STORE_MISSING' },
    { file: 'topics/test/blocks', code: 'ERR_STORE_MISSING' },
    { file: 'topics/test/meta/CURRENT', code: 'ERR_STORE_MISSING' },
    { file: 'topics/test/blocks/CURRENT', code: 'ERR_STORE_MISSING' },
    { file: 'identity.key', code: 'ERR_STORE_WRONG_NODE' },
  ]
  for (const { file, code } of cases) {
    const aside = join(path, 'aside')
    await rename(join(path, file), aside)
    t.match(await refusal(path), { code, message: /backup|put/ }, `${file} missing`)
    await rm(join(path, file), { recursive: true, force: true })
    await rename(aside, join(path, file))
  }
  const contents = [
    { file: 'identity.key', text: `${'ab'.repeat(32)}\n`, code: 'ERR_STORE_WRONG_NODE' },
    { file: 'identity.key', text: 'short', code: 'ERR_DATA_DIRECTORY' },
    { file: 'topics.json', text: '{"format":1', code: 'ERR_DATA_DIRECTORY' },
    { file: 'format', text: '2\n', code: 'ERR_STORE_FORMAT' },
    { file: 'format', text: '\0', code: 'ERR_DATA_DIRECTORY' },
  ]
  for (const { file, text, code } of contents) {
    const before = await readFile(join(path, file))
    await writeFile(join(path, file), text)
    t.match(await refusal(path), { code }, `${file} with other content`)
    await writeFile(join(path, file), before)
  }
  const { store, close } = await openTestStore(path)
  t.equal((await readAll(store)).length, 40, 'after all that the data are as they were')
  await close()
})

t.test('a topic whose folder was never put on record is opened, not lost', async (t) => {
  const path = temporaryDirectory(t)
  await storeWith(path, 20)
  await rm(join(path, 'topics.json'))
  const { store, close } = await openTestStore(path)
  t.equal((await readAll(store)).length, 20)
  await close()
  t.match(JSON.parse(await readFile(join(path, 'topics.json'), 'utf8')), { format: 1, topics: ['test'] })
})

t.test('the unreadable end of an unfinished write is cut off', async (t) => {
  const path = temporaryDirectory(t)
  const keys = await storeWith(path, 20)
  await tamper(path, 'meta', (level) => level.put(keys.at('tail', 20), Buffer.from('torn')))
  const { store, close } = await openTestStore(path)
  t.same(store.health, { writable: true, problems: [] })
  t.equal((await publish(store, [event('next')]))[0]?.offset, 20)
  t.equal((await readAll(store)).length, 21)
  await close()
})

t.test(
  'acknowledged events that are missing are a loud problem, and their offsets are not given out again',
  async (t) => {
    const damages: {
      name: string
      work: (level: ClassicLevel<Buffer, Buffer>, keys: StreamKeys) => Promise<void>
      left: number
    }[] = [
      { name: 'last record lost', work: (level, keys) => level.del(keys.at('tail', 19)), left: 19 },
      { name: 'first record lost', work: (level, keys) => level.del(keys.at('tail', 16)), left: 16 },
      {
        name: 'record damaged in the middle',
        work: async (level, keys) => {
          const value = await level.get(keys.at('tail', 17))
          if (value === undefined) throw new Error('no such record')
          value[value.length - 3] = (value[value.length - 3] ?? 0) ^ 1
          await level.put(keys.at('tail', 17), value)
        },
        left: 17,
      },
      { name: 'stream record lost', work: (level, keys) => level.del(keys.record), left: 0 },
    ]
    for (const { name, work, left } of damages) {
      const path = temporaryDirectory(t)
      const keys = await storeWith(path, 20)
      await tamper(path, 'meta', (level) => work(level, keys))
      for (let start = 0; start < 2; start++) {
        const { store, close } = await openTestStore(path)
        t.match(store.health, { writable: false, problems: [/^stream .+-0: .+ restored$/] }, name)
        t.same([...store.offsets().values()], [19], `${name}: the store still knows how much there was`)
        await t.rejects(publish(store, [event('no')]), { code: 'ERR_STORE_READ_ONLY' })
        await t.rejects(readAll(store), { code: 'ERR_STORE_CORRUPT' }, `${name}: a read over the gap fails`)
        await t.rejects(readAll(store, 'desc'), { code: 'ERR_STORE_CORRUPT' })
        const upperBound = new Map([...store.offsets().keys()].map((stream) => [stream, left - 1]))
        let events = 0
        const request = { selection: { kind: 'all' }, order: 'asc', lowerBound: new Map(), upperBound } as const
        for await (const batch of store.read(request)) events += batch.length
        t.equal(events, left, `${name}: what is before it can be read`)
        await close()
      }
    }
  },
)

t.test('a sealed block that is missing or damaged is an error for those who read it only', async (t) => {
  const path = temporaryDirectory(t)
  const keys = await storeWith(path, 70)
  await tamper(path, 'blocks', (level) => level.clear({ gte: blockKey(1, 0), lt: blockKey(2, 0) }))
  let { store, close } = await openTestStore(path)
  await t.rejects(readAll(store), { code: 'ERR_STORE_CORRUPT', message: /offset 16 .+ missing/ })
  t.equal(store.metrics().corruptRecords, 1)
  t.match(store.health, { writable: true, problems: [/offset 16/] })
  const stream = [...store.offsets().keys()][0] ?? ''
  const request = {
    selection: { kind: 'all' },
    order: 'asc',
    lowerBound: new Map([[stream, 31]]),
    upperBound: store.offsets(),
  } as const
  let events = 0
  for await (const batch of store.read(request)) events += batch.length
  t.equal(events, 38, 'the rest is read')
  t.equal((await publish(store, [event('next')]))[0]?.offset, 70)
  await close()
  await tamper(path, 'meta', (level) => level.del(keys.at('block', 32)))
  ;({ store, close } = await openTestStore(path))
  await t.rejects(readAll(store, 'desc'), { code: 'ERR_STORE_CORRUPT', message: /index entry/ })
  await close()
})

t.test('what a crash leaves behind sealing and pruning is cleared away at start', async (t) => {
  const path = temporaryDirectory(t)
  await storeWith(path, 40)
  await tamper(path, 'blocks', (level) => level.put(blockKey(7, 0), Buffer.from('orphan')))
  const { store, close } = await openTestStore(path)
  t.equal((await readAll(store)).length, 40)
  await close()
  await tamper(path, 'blocks', async (level) => {
    t.equal(await level.get(blockKey(7, 0)), undefined)
    t.ok(await level.get(blockKey(1, 0)))
  })
})

t.test('weaker sync modes keep what a kill leaves, and lose only what was not synced', async (t) => {
  for (const sync of ['os', { intervalMs: 5 }] as const) {
    const path = temporaryDirectory(t)
    await storeWith(path, 40, { sync })
    const { store, close } = await openTestStore(path, { sync })
    t.same(store.health, { writable: true, problems: [] })
    t.equal((await readAll(store)).length, 40)
    await close()
  }
  // Another boot, and the newest events, never synced, are gone with the page cache.
  const path = temporaryDirectory(t)
  const keys = await storeWith(path, 20, { sync: 'os' })
  const head = await readFile(join(topicPath(path), 'head'))
  head.write('0'.repeat(36), 16, 'latin1')
  head.writeBigUInt64LE(18n, 64 + 48)
  for (const slot of [0, 64]) head.writeUInt32LE(crc32(head.subarray(slot, slot + 60)), slot + 60)
  await writeFile(join(topicPath(path), 'head'), head)
  await tamper(path, 'meta', (level) =>
    level.batch([18, 19].map((offset) => ({ type: 'del', key: keys.at('tail', offset) }))),
  )
  for (let start = 0; start < 2; start++) {
    const { store, close } = await openTestStore(path, { sync: 'os' })
    t.same(store.health, { writable: true, problems: [] })
    t.equal((await readAll(store)).length, 18)
    await close()
  }
})

t.test('names keep their numbers over restarts', async (t) => {
  const path = temporaryDirectory(t)
  let { store, close } = await openTestStore(path)
  t.same(
    [...(await store.registerStreams(['b', 'a', 'default', 'b']))],
    [
      ['b', 1],
      ['a', 2],
      ['default', 0],
    ],
  )
  await t.rejects(publish(store, [event(1, ['a'], 3)]), { code: 'ERR_STREAM_ID_INVALID' })
  await close()
  ;({ store, close } = await openTestStore(path))
  t.same(
    [...(await store.registerStreams(['c', 'a', 'b']))],
    [
      ['c', 3],
      ['a', 2],
      ['b', 1],
    ],
  )
  await close()
  await close()
  await t.rejects(publish(store, [event(1)]), { code: 'ERR_STORE_CLOSED' })
  await t.rejects(readAll(store), { code: 'ERR_STORE_CLOSED' })
})

t.test('a directory that cannot be used is refused with a mend', async (t) => {
  const path = temporaryDirectory(t)
  await writeFile(join(path, 'file'), '')
  await mkdir(join(path, 'directory'))
  await t.rejects(DataDirectory.open(join(path, 'file')), { code: 'ERR_DATA_DIRECTORY', message: /choose/ })
})

t.test('a block that is ended for its age while a commit is under way is whole, now and after a restart', async (t) => {
  const path = temporaryDirectory(t)
  const settings = {
    block: { maxEvents: 10_000, maxBytes: 1 << 24 },
    clock: { ...systemClock, nowMicros: () => 2_000_000 },
  }
  let opened = await openTestStore(path, settings)
  await opened.store.registerStreams(['default', 'slow'])
  opened.store.setRetention(new Map([['slow', { ...KEEP_EVERYTHING, maxBlockAgeMicros: 1 }]]))
  const expected: unknown[] = []
  for (let round = 0; round < 60; round++) {
    const events = Array.from({ length: 20 }, (_, at) => event({ round, at, text: 'of some length' }, ['a'], 1))
    const publishing = publish(opened.store, events)
    // Wakes the maintenance at all moments of a commit.
    for (let turn = 0; turn < round % 8; turn++) await new Promise((resolve) => setImmediate(resolve))
    opened.store.setRetention(new Map([['slow', { ...KEEP_EVERYTHING, maxBlockAgeMicros: 1 }]]))
    await publishing
    expected.push(...events.map((_, at) => ({ round, at, text: 'of some length' })))
  }
  for (let restart = 0; restart < 2; restart++) {
    t.same(
      (await readAll(opened.store)).map(({ payload }) => payload),
      expected,
    )
    t.same(opened.store.health, { writable: true, problems: [] })
    await opened.close()
    opened = await openTestStore(path, settings)
  }
  await opened.close()
})
