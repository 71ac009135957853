import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import type {
  CommittedChanges,
  ExportedItem,
  ImportReport,
  State,
  StateCheck,
  TransferItem,
} from '../../state/index.js'
import { TRANSFER_KINDS } from '../../state/index.js'
import { deadlineKey, entryKey, RECORD, requestCountKey, requestKey } from '../../state/record-keys.js'
import { decodeStored } from '../../state/records.js'
import { append, APP, increment, openState, set, TestClock, txn, versionIs } from '../support/state.js'
import { event, openTestStore, publish, readAll } from '../support/store.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

type Backend = 'embedded' | 'memory'

t.setTimeout(180_000)

async function start(t: Test, backend: Backend = 'embedded', clock = new TestClock(), maxBytes = 2 ** 20) {
  const path = temporaryDirectory(t)
  const settings = { backend, maxBytes }
  let opened = await openTestStore(path)
  let state = await openState(opened.store, clock, settings)
  const close = async (): Promise<void> => {
    await state.close()
    await opened.close()
  }
  t.teardown(close)
  return {
    clock,
    get state() {
      return state
    },
    get store() {
      return opened.store
    },
    /** @param tamper is given the records of the closed store */
    restart: async (tamper: (level: Records) => Promise<void> = () => Promise.resolve()): Promise<void> => {
      await close()
      const level: Records = new ClassicLevel(join(path, 'topics', 'test', 'meta'), BINARY)
      await level.open()
      await tamper(level)
      await level.close()
      opened = await openTestStore(path)
      state = await openState(opened.store, clock, settings)
    },
  }
}

type Records = ClassicLevel<Buffer, Buffer>

const BINARY = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const

/** Where a record of the state lies in the database. */
const stored = (record: Buffer): Buffer => Buffer.concat([Buffer.of(0x30), record])

async function flip(level: Records, record: Buffer): Promise<void> {
  const value = Buffer.from((await level.get(stored(record)))!)
  value[value.length - 1]! ^= 1
  await level.put(stored(record), value)
}

async function exported(state: State): Promise<{ revision: number; items: ExportedItem[] }> {
  const { revision, items } = state.export({ kinds: TRANSFER_KINDS, prefix: '' })
  const all: ExportedItem[] = []
  for await (const item of items) all.push(item)
  return { revision, items: all }
}

function take(
  state: State,
  { revision, items }: { revision: number; items: readonly TransferItem[] },
  options: { overwrites?: boolean; isRehearsal?: boolean } = {},
): Promise<ImportReport> {
  return state.import({ revision, items, overwrites: false, isRehearsal: false, ...options })
}

async function valuesOf(state: State): Promise<Record<string, string>> {
  const { entries } = await state.scan({ prefix: '', after: undefined, limit: 10_000, atRevision: undefined })
  return Object.fromEntries(entries.map(({ key, value }) => [key, value]))
}

function check(state: State, repairs = false): Promise<StateCheck> {
  return state.check(repairs, new AbortController().signal)
}

const named = ({ faults }: StateCheck): string[] => faults.map(({ name, problem }) => `${name}: ${problem}`)

for (const [from, to] of [
  ['embedded', 'memory'],
  ['memory', 'embedded'],
  ['embedded', 'embedded'],
] as const) {
  t.test(
    `what ${from} holds comes to ${to}: values to the letter, versions anew, times as far as they are left`,
    async (t) => {
      const clock = new TestClock()
      const old = await start(t, from, clock)
      await txn(old.state, { then: [{ ...set('n/exact', 0), value: '{"a":1.50,"b":12345678901234567890}' } as never] })
      await txn(old.state, { then: [set('n/short', 1, { ttlMs: 1000 }), set('n/long', 2, { ttlMs: 60_000 })] })
      for (let n = 0; n < 600; n++) await txn(old.state, { then: [increment(`n/c/${String(n)}`)] })
      const events = append([event('one')], [], 'once')
      const first = await txn(old.state, { append: [events], requestId: 'r' })
      const all = await exported(old.state)
      t.equal(all.items.length, 604)
      t.equal(all.revision, old.state.revision)

      const next = await start(t, to, clock)
      clock.pass(2_000)
      t.match(await take(next.state, all, { isRehearsal: true }), { imported: 603, same: 0 })
      t.same(await valuesOf(next.state), {}, 'a rehearsal changes nothing')
      const report = await take(next.state, all)
      t.match(report, { imported: 603, same: 0, remarks: [{ kind: 'kv', name: 'n/short', outcome: 'expired' }] })
      t.equal(report.bytes, (await next.state.info()).bytes)
      t.same(await valuesOf(next.state), await valuesOf(old.state))
      t.equal((await next.state.get('n/exact'))?.value, '{"a":1.50,"b":12345678901234567890}')
      const version = (await next.state.get('n/long'))?.version ?? 0
      t.ok(version > all.revision, 'no version of the old state is valid in the new one')
      t.equal((await next.state.get('n/long'))?.expiresAt, (await old.state.get('n/long'))?.expiresAt)
      const again = await txn(next.state, { append: [events] })
      t.same(
        again.appended,
        [{ ...first.appended[0], duplicate: true }],
        'what was appended once is not appended again',
      )
      t.match(await take(next.state, all), { imported: 0, same: 603 }, 'a second import finds all of it')
      clock.pass(58_000)
      t.equal(await next.state.get('n/long'), undefined)
      t.same(named(await check(next.state)), [])
    },
  )
}

t.test('an import that broke off is begun anew, and overwrites nothing that was written meanwhile', async (t) => {
  const old = await start(t)
  for (let n = 0; n < 10; n++) await txn(old.state, { then: [set(`n/${String(n)}`, n)] })
  const all = await exported(old.state)
  const next = await start(t, 'embedded')
  await take(next.state, { ...all, items: all.items.slice(0, 5) })
  await txn(next.state, { then: [set('n/2', 'new'), set('n/7', 'mine')] })
  t.match(await take(next.state, all), {
    imported: 4,
    same: 4,
    remarks: [
      { name: 'n/2', outcome: 'kept' },
      { name: 'n/7', outcome: 'kept' },
    ],
  })
  t.match(await valuesOf(next.state), { 'n/2': '"new"', 'n/7': '"mine"', 'n/9': '9' })
  t.match(await take(next.state, all, { overwrites: true }), {
    imported: 2,
    same: 8,
    remarks: [{ outcome: 'overwritten' }, { outcome: 'overwritten' }],
  })
  t.same(await valuesOf(next.state), await valuesOf(old.state))
})

t.test('an import that finds no room does nothing of its part, and an export is of one moment', async (t) => {
  const old = await start(t)
  for (let n = 0; n < 600; n++) await txn(old.state, { then: [set(`n/${String(n)}`, 'x'.repeat(100))] })
  const { revision, items } = old.state.export({ kinds: ['kv'], prefix: '' })
  const seen: ExportedItem[] = []
  for await (const item of items) {
    seen.push(item)
    if (seen.length === 1) {
      await txn(old.state, { then: [set('n/599', 'later'), { kind: 'delete', key: 'n/598' }, set('n/new', 1)] })
    }
  }
  t.equal(seen.length, 600)
  t.notOk(seen.some(({ value, version }) => value === '"later"' || version > revision))
  const small = await start(t, 'embedded', new TestClock(), 2 ** 14)
  await t.rejects(take(small.state, { revision, items: seen }), { code: 'ERR_STATE_FULL' })
  t.same(await valuesOf(small.state), {})
})

t.test('any entries come through an export and an import', async (t) => {
  const old = await start(t)
  const next = await start(t, 'memory')
  const entry = fc.tuple(fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }), fc.json())
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { minLength: 1, maxLength: 10 }), async (entries) => {
      const then = entries.map(([id, value]) => ({ ...set(`n/k/${id}`, 0), value: JSON.stringify(JSON.parse(value)) }))
      await txn(old.state, { then })
      await take(next.state, await exported(old.state), { overwrites: true })
      t.same(await valuesOf(next.state), await valuesOf(old.state))
    }),
    { numRuns: 30 },
  )
})

t.test('a damaged record is told with its name and never served, and everything else goes on', async (t) => {
  const node = await start(t)
  for (const key of ['n/a', 'n/b', 'n/c']) await txn(node.state, { then: [set(key, key)] })
  await publish(node.store, [event('before')])
  await node.restart((level) => flip(level, entryKey('n/b')))
  const corrupt = { code: 'ERR_STORE_CORRUPT', message: /n\/b/ }
  await t.rejects(node.state.get('n/b'), corrupt)
  await t.rejects(valuesOf(node.state), corrupt, 'it is not taken for none')
  await t.rejects(txn(node.state, { if: [versionIs('n/b', 0)], then: [set('n/b', 'new')] }), corrupt)
  t.match(node.store.problems(), [{ kind: 'state', text: /n\/b.*--repair/ }])
  t.equal(node.store.health.writable, true)
  t.equal((await node.state.get('n/a'))?.value, '"n/a"')
  await txn(node.state, { then: [set('n/c', 'changed')], append: [append([event('after')])] })
  t.equal((await readAll(node.store)).length, 2)

  t.same(named(await check(node.state)), ['entry n/b: its checksum is wrong'])
  const watch = node.state.watch('n/', undefined, new AbortController().signal)
  await watch.next()
  const beside = Promise.all(Array.from({ length: 50 }, () => txn(node.state, { then: [increment('n/d')] })))
  t.same(named(await check(node.state, true)), ['entry n/b: its checksum is wrong'])
  await beside
  const told: string[] = []
  while (!told.includes('n/b')) {
    const { value } = await watch.next()
    told.push(...(value as CommittedChanges).changes.map(({ key }) => key))
  }
  await watch.return(undefined)
  t.same(await valuesOf(node.state), { 'n/a': '"n/a"', 'n/c': '"changed"', 'n/d': '50' })
  t.same(named(await check(node.state)), [])
  t.same(node.store.problems(), [])
  await txn(node.state, { if: [versionIs('n/b', 0)], then: [set('n/b', 'new')] })
  await node.restart()
  t.equal((await node.state.get('n/b'))?.value, '"new"')
})

t.test('whichever record is damaged or gone, a repair makes the state whole and keeps the others', async (t) => {
  const node = await start(t)
  let fills = 0
  const fill = async (): Promise<void> => {
    const requestId = `r${String(fills++)}`
    await txn(node.state, { then: [set('n/a', 1, { ttlMs: 10_000 }), set('n/b', 2)], requestId })
    await txn(node.state, { append: [append([event(1)], [], 'e')] })
    const other = { app: APP, requestId: undefined }
    const lease = { ...other, name: 'n/lock', ttlMs: 10_000, mode: 'read', owner: 'x' } as const
    await node.state.locks.acquire(lease, 0, new AbortController().signal)
    await node.state.dedup.claim({ ...other, key: 'n/once', windowMs: 10_000, staleMs: 10_000 })
    const part = { name: 'n/limit', n: 1, max: 1000, windowMs: 10_000, align: 'sliding' } as const
    await node.state.limits.take({ ...other, parts: [part] })
  }
  await fill()
  // Those for tables elsewhere are not in a state that is kept here.
  const kinds = Object.values(RECORD).filter((kind) => kind !== RECORD.intent)
  for (const kind of kinds) {
    for (const fault of ['flip', 'delete'] as const) {
      const before = node.state.revision
      await node.restart(async (level) => {
        const range = { gte: Buffer.of(0x30, kind), lt: Buffer.of(0x30, kind + 1), limit: 1 }
        const [key] = await level.keys(range).all()
        if (key === undefined) throw new Error(`there is no record of kind ${String(kind)}`)
        await (fault === 'flip' ? flip(level, key.subarray(1)) : level.del(key))
      })
      const name = `${fault} kind ${String(kind)}`
      const isLost = kind === RECORD.head && fault === 'delete'
      if (kind === RECORD.head && !isLost) t.ok(node.state.revision > before + 2 ** 31, 'revisions jump')
      await check(node.state, true)
      // Without its record a state is a new one, as far as entries do not say more.
      if (!isLost) t.ok(node.state.revision >= before, name)
      t.same(named(await check(node.state)), [], name)
      t.equal((await node.state.get('n/b'))?.value, '2', name)
      await fill()
      t.same(named(await check(node.state)), [], `${name}, and gone on`)
    }
  }
})

t.test('indexes and counts that do not fit are told, without anything being lost', async (t) => {
  const node = await start(t)
  await txn(node.state, { then: [set('n/a', 1, { ttlMs: 10_000 })], requestId: 'r' })
  await node.restart(async (level) => {
    const content = (await level.get(stored(entryKey('n/a'))))!.subarray(4)
    const { lifetime } = decodeStored(content)
    await level.del(stored(deadlineKey(lifetime!.runDeadlineMs, entryKey('n/a'))))
    await level.del(stored(requestKey(APP, 'r')))
    await level.del(stored(requestCountKey(APP)))
  })
  t.same(named(await check(node.state)), [
    'entry n/a: it is not in the index of what expires',
    `index of the answers of ${APP}: it leads to nothing`,
    `count of the answers of ${APP}: it is missing`,
  ])
  await check(node.state, true)
  t.same(named(await check(node.state)), [])
  node.clock.pass(20_000)
  await node.state.compact()
  t.equal((await node.state.info()).entries, 0, 'it expires as it should')
})
