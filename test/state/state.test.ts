import t from 'tap'
import {
  CompactedError,
  CounterRangeError,
  Namespaces,
  OffsetConflictError,
  StateFullError,
} from '../../state/index.js'
import { ChangeLog } from '../../state/change-log.js'
import { MAX_VALUE_BYTES, REMEMBERED_MS } from '../../state/limits.js'
import { event, publish, readAll } from '../support/store.js'
import { append, APP, increment, set, startState, txn, versionIs } from '../support/state.js'

const all = { prefix: '', after: undefined, limit: 1000, atRevision: undefined }

for (const backend of ['embedded', 'memory'] as const) {
  t.test(`${backend}: of many compare-and-swaps at once one wins, and versions never repeat`, async (t) => {
    const { state } = await startState(t, { backend })
    const race = await Promise.all(
      Array.from({ length: 64 }, (_, at) => txn(state, { if: [versionIs('n/k', 0)], then: [set('n/k', at)] })),
    )
    t.equal(race.filter(({ succeeded }) => succeeded).length, 1)
    const first = await state.get('n/k')
    await txn(state, { then: [{ kind: 'delete', key: 'n/k' }] })
    await txn(state, { then: [set('n/k', 'again')] })
    const second = await state.get('n/k')
    t.ok((second?.version ?? 0) > (first?.version ?? Infinity), 'delete and create anew give another version')
    const stale = await txn(state, { if: [versionIs('n/k', first?.version ?? 0)], then: [set('n/k', 'stale')] })
    t.equal(stale.succeeded, false)
  })

  t.test(`${backend}: counters are exact beyond 2^53, and stay within their bounds`, async (t) => {
    const { state } = await startState(t, { backend })
    await Promise.all(Array.from({ length: 100 }, () => txn(state, { then: [increment('n/c')] })))
    t.equal((await state.get('n/c'))?.value, '100')
    const big = await txn(state, { then: [increment('n/c', 2n ** 60n)] })
    t.match(big.results, [{ value: String(2n ** 60n + 100n) }])
    await t.rejects(txn(state, { then: [increment('n/c', 2n ** 63n)] }), CounterRangeError)
    await t.rejects(txn(state, { then: [increment('n/c', 1n, 0n, 5n)] }), { code: 'ERR_COUNTER_RANGE' })
    t.equal((await state.get('n/c'))?.value, String(2n ** 60n + 100n), 'a refused one changes nothing')
    await txn(state, { then: [set('n/t', 'text')] })
    await t.rejects(txn(state, { then: [increment('n/t')] }), { code: 'ERR_COUNTER_INVALID' })
  })

  t.test(`${backend}: a transaction is done as a whole or not at all, with its events`, async (t) => {
    const { state, store } = await startState(t, { backend })
    await txn(state, { then: [set('n/a', 1), set('n/b', 2)], append: [append([event('one')], [[0, -1]])] })
    await t.rejects(
      txn(state, { then: [set('n/a', 9)], append: [append([event('two')], [[0, 5]])] }),
      new OffsetConflictError('0', 5, 0),
    )
    await t.rejects(txn(state, { then: [set('n/a', 9), increment('n/a', 2n ** 64n)], append: [append([event('x')])] }))
    t.equal((await state.get('n/a'))?.value, '1')
    const events = await readAll(store)
    t.same(
      events.map(({ payload, offset, lamport }) => [payload, offset, lamport]),
      [['one', 0, 0]],
    )
    const [{ lamport, offset } = {}] = await publish(store, [event('next')])
    t.same([lamport, offset], [1, 1], 'what is refused uses up neither offset nor lamport')
  })
}

t.test('publishes and transactions that share a commit get the offsets that the transactions are told', async (t) => {
  const { state, store } = await startState(t)
  await store.registerStreams(['default', 'x'])
  const work: Promise<unknown>[] = []
  const told: { payload: unknown; offset: number; lamport: number; stream: string }[] = []
  for (let at = 0; at < 200; at++) {
    if (at % 3 === 0) work.push(publish(store, [event({ at }, ['a'], at % 2)]))
    else {
      const events = [event({ at }, ['a'], at % 2), event({ at }, ['a'], 1)]
      const answer = txn(state, { then: [set('n/k', at)], append: [append(events)] })
      work.push(
        answer.then(({ appended }) => {
          for (const { offset, lamport, stream } of appended) told.push({ payload: { at }, offset, lamport, stream })
        }),
      )
    }
  }
  await Promise.all(work)
  const stored = new Map((await readAll(store)).map((each) => [each.lamport, each]))
  for (const { lamport, ...rest } of told) t.match(stored.get(lamport), rest)
  t.equal(stored.size, 200 + 133)
})

t.test('of many who append behind the same offset one wins', async (t) => {
  const { state, store } = await startState(t)
  const race = await Promise.allSettled(
    Array.from({ length: 20 }, (_, at) => txn(state, { append: [append([event(at)], [[0, -1]])] })),
  )
  t.equal(race.filter(({ status }) => status === 'fulfilled').length, 1)
  t.equal((await readAll(store)).length, 1)
})

t.test('expected offsets are those before the transaction, for each stream its own', async (t) => {
  const { state, store } = await startState(t)
  await store.registerStreams(['default', 'x'])
  const parts = [append([event('a', ['t'], 0)], [[0, -1]]), append([event('b', ['t'], 1)], [[1, -1]])]
  const both = await txn(state, { append: [...parts, append([event('c', ['t'], 0)], [[0, -1]])] })
  t.same(
    both.appended.map(({ offset }) => offset),
    [0, 0, 1],
  )
  await t.rejects(txn(state, { append: [append([event('d')], [[0, 1]]), append([event('e', ['t'], 1)], [[1, 7]])] }), {
    code: 'ERR_OFFSET_CONFLICT',
    actual: 0,
  })
  t.equal((await readAll(store)).length, 3, 'nothing of what is refused in part is stored')
})

t.test('an idempotency key stores its events once, for a day and over restarts', async (t) => {
  const node = await startState(t)
  const once = () => txn(node.state, { append: [append([event('x'), event('y')], [[0, -1]], 'key-1')] })
  const [first, second] = await Promise.all([once(), once()])
  t.same(
    first.appended.map(({ offset, duplicate }) => [offset, duplicate]),
    [
      [0, false],
      [1, false],
    ],
  )
  t.same(
    second.appended.map(({ offset, duplicate }) => [offset, duplicate]),
    [
      [0, true],
      [1, true],
    ],
    'in the same commit already, whatever offset is expected',
  )
  await node.restart()
  t.equal((await once()).appended[0]?.duplicate, true)
  const other = await node.state.txn({
    ...{ app: 'com.example.other', if: [], then: [], else: [], requestId: undefined },
    append: [append([event('z')], [], 'key-1')],
  })
  t.equal(other.appended[0]?.duplicate, false, 'each app has its own keys')
  node.clock.pass(REMEMBERED_MS)
  const later = await txn(node.state, { append: [append([event('x')], [], 'key-1')] })
  t.equal(later.appended[0]?.duplicate, false)
  node.clock.pass(REMEMBERED_MS)
  await node.state.sweep()
  t.equal((await node.state.info()).bytes, 0, 'what is forgotten takes no room')
})

t.test('a request id gets the answer that it got first, over restarts, for a day', async (t) => {
  const node = await startState(t)
  const request = { if: [versionIs('n/k', 0)], then: [set('n/k', 1), increment('n/c')], requestId: 'r1' }
  const first = await txn(node.state, request)
  t.equal(first.succeeded, true)
  t.same(await txn(node.state, request), first, 'though the condition does not hold any more')
  await node.restart()
  t.same(await txn(node.state, request), first)
  t.equal((await node.state.get('n/c'))?.value, '1')
  t.equal((await node.state.txn({ app: 'com.example.other', ...request, else: [], append: [] })).succeeded, false)
  const failed = { if: [versionIs('n/k', 0)], then: [set('n/k', 2)], else: [{ kind: 'get', key: 'n/k' } as const] }
  const refused = await txn(node.state, { ...failed, requestId: 'r2' })
  await txn(node.state, { then: [{ kind: 'delete', key: 'n/k' }] })
  t.same(await txn(node.state, { ...failed, requestId: 'r2' }), refused, 'a failed one fails again')
  node.clock.pass(REMEMBERED_MS)
  t.equal((await txn(node.state, { ...failed, requestId: 'r2' })).succeeded, true)
  node.clock.pass(2 * REMEMBERED_MS)
  await node.state.sweep()
  const left = await node.store.state.page({ gte: Buffer.of(0x20), lt: Buffer.of(0x28), limit: 10 })
  t.same(left, [], 'what is forgotten leaves nothing behind')
})

t.test('what a long answer had read is read anew for a retry', async (t) => {
  const { state } = await startState(t)
  const long = 'x'.repeat(100_000)
  await txn(state, { then: [set('n/k', long)] })
  const request = { then: [{ kind: 'get', key: 'n/k' } as const], requestId: 'r' }
  t.same(await txn(state, request), await txn(state, request))
})

t.test('a time to live ends to the millisecond, and what replaces an entry has its own', async (t) => {
  const { state, clock } = await startState(t)
  await txn(state, { then: [set('n/k', 1, { ttlMs: 100 })] })
  clock.pass(99)
  t.equal((await state.get('n/k'))?.value, '1')
  clock.pass(1)
  t.equal(await state.get('n/k'), undefined)
  t.same((await state.scan(all)).entries, [])
  const taken = await txn(state, { if: [versionIs('n/k', 0)], then: [set('n/k', 2, { ttlMs: 100 })] })
  t.equal(taken.succeeded, true, 'an expired entry is absent for a compare-and-swap')
  await txn(state, { then: [set('n/k', 3, 'keep')] })
  clock.pass(50)
  t.ok((await state.get('n/k'))?.expiresAt)
  await txn(state, { then: [set('n/k', 4)] })
  clock.pass(1000)
  await state.sweep()
  t.equal((await state.get('n/k'))?.value, '4', 'a write without time to live ends that of before')
  t.equal((await state.get('n/k'))?.expiresAt, undefined)
})

t.test('the wall clock neither ends nor prolongs anything while the node runs', async (t) => {
  const { state, clock } = await startState(t)
  await txn(state, { then: [set('n/k', 1, { ttlMs: 1000 })] })
  clock.wallMs += 10 * 365 * 86_400_000
  t.ok(await state.get('n/k'))
  clock.wallMs -= 20 * 365 * 86_400_000
  t.ok(await state.get('n/k'))
  clock.ms += 1000
  t.equal(await state.get('n/k'), undefined)
})

t.test('expired entries are taken away, and watches are told', async (t) => {
  const { state, clock } = await startState(t)
  const gone = new AbortController()
  const seen: unknown[] = []
  const watching = (async () => {
    for await (const { changes } of state.watch('n/', undefined, gone.signal)) {
      seen.push(...changes.map(({ key, value, isExpiry }) => [key, value, isExpiry]))
      if (seen.length === 2) return
    }
  })()
  await new Promise((resolve) => setImmediate(resolve))
  await txn(state, { then: [set('other/k', 1, { ttlMs: 10 }), set('n/k', 1, { ttlMs: 10 })] })
  clock.pass(10)
  await state.sweep()
  await watching
  t.same(seen, [
    ['n/k', '1', false],
    ['n/k', undefined, true],
  ])
  t.match(await state.info(), { entries: 0, bytes: 0 })
  t.equal(state.counters.expired, 2)
})

t.test('the pages of a scan are of one revision, whatever is written meanwhile', async (t) => {
  const { state } = await startState(t)
  for (let at = 0; at < 20; at += 2) await txn(state, { then: [set(`n/k/${String(at).padStart(2, '0')}`, at)] })
  const before = (await state.scan(all)).entries
  const found = []
  let after: string | undefined
  let atRevision: number | undefined
  for (;;) {
    const page = await state.scan({ prefix: 'n/', after, limit: 3, atRevision })
    found.push(...page.entries)
    atRevision = page.revision
    after = page.next
    for (let at = 0; at < 20; at++) {
      const key = `n/k/${String(at).padStart(2, '0')}`
      void txn(state, { then: [at % 4 === 0 ? { kind: 'delete', key } : set(key, 'new')] })
    }
    if (after === undefined) break
  }
  t.same(found, before)
})

t.test('a watch that goes too far back, and a scan too, are told so', async (t) => {
  const log = new ChangeLog(5)
  const value = 'x'.repeat(1024 * 1024)
  for (let revision = 6; revision < 40; revision++) {
    log.add({ revision, changes: [{ key: 'k', value, isExpiry: false, before: undefined }] })
  }
  t.throws(() => log.after(5), CompactedError)
  t.same(
    log.after(37).map(({ revision }) => revision),
    [38, 39],
  )
  const { state } = await startState(t)
  await t.rejects(state.watch('', -1, new AbortController().signal).next(), { code: 'ERR_COMPACTED' })
})

t.test('the quota refuses what would go beyond it, and takes what makes it smaller', async (t) => {
  const { state } = await startState(t, { maxBytes: 1000 })
  await txn(state, { then: [set('n/k', 'x'.repeat(900))] })
  await t.rejects(txn(state, { then: [set('n/l', 'x'.repeat(200))] }), StateFullError)
  await txn(state, { then: [set('n/k', 'x'.repeat(700))] })
  await txn(state, { then: [set('n/l', 'x'.repeat(200))] })
  await txn(state, { then: [{ kind: 'delete', key: 'n/k' }, set('n/m', 'x'.repeat(700))] })
})

t.test('revisions go on over restarts, and jump over those that a lost past may have given out', async (t) => {
  const node = await startState(t)
  await txn(node.state, { then: [set('n/k', 1)] })
  const { version = 0 } = (await node.state.get('n/k')) ?? {}
  await node.restart()
  t.equal(node.state.revision, version)
  await node.store.replicas.beginEpoch(1)
  await node.restart()
  t.equal(node.state.revision, version + 2 ** 32)
  t.equal((await node.state.get('n/k'))?.version, version, 'what is held keeps its version')
  const memory = await startState(t, { backend: 'memory' })
  await txn(memory.state, { then: [set('n/k', 1)] })
  const { revision } = memory.state
  memory.clock.pass(1)
  await memory.restart()
  t.ok(memory.state.revision > revision)
  t.equal(await memory.state.get('n/k'), undefined)
})

t.test('damage of a record is told of, by those who read it and by a check of the store', async (t) => {
  const { state, store } = await startState(t)
  await txn(state, { then: [set('n/k', 1), set('n/l', 2)] })
  const findings: unknown[] = []
  for await (const line of store.check(new AbortController().signal)) if (line.type === 'damage') findings.push(line)
  t.same(findings, [])
})

t.test('namespaces: an app means its own, and needs a grant for others', async (t) => {
  const namespaces = new Namespaces(new Map([[APP, ['shared', 'com.acme.a']]]))
  const key = (text: string, isWrite = true): string => namespaces.keyOf(text, APP, isWrite)
  t.equal(key('order/1'), `${APP}/order/1`)
  t.equal(key('counter'), `${APP}/counter`)
  t.equal(key('a/b/c'), `${APP}/a/b/c`, 'slashes may stand in ids')
  t.equal(key(`${APP}/order/1`), `${APP}/order/1`)
  t.equal(key('shared/x/y'), 'shared/x/y')
  t.equal(key('com.acme.a/x/y'), 'com.acme.a/x/y')
  t.throws(() => key('com.acme.b/x/y'), { code: 'ERR_STATE_FORBIDDEN' })
  t.throws(() => key('mr/lock/x', false), { code: 'ERR_STATE_FORBIDDEN' })
  t.throws(() => namespaces.keyOf('mr/x/y', undefined, true), { code: 'ERR_STATE_FORBIDDEN' })
  t.equal(namespaces.keyOf('com.acme.b/x/y', undefined, true), 'com.acme.b/x/y', 'operators may touch all')
  t.throws(() => namespaces.keyOf('x', undefined, false), { code: 'ERR_STATE_KEY_INVALID' })
  t.throws(() => key('x'.repeat(1025)), { code: 'ERR_STATE_TOO_LARGE' })
  t.throws(() => key('\ud800'), { code: 'ERR_STATE_KEY_INVALID' })
  t.equal(namespaces.prefixOf('', APP), `${APP}/`)
  t.equal(namespaces.prefixOf('order/', APP), `${APP}/order/`)
  t.equal(namespaces.prefixOf('', undefined), '')
  t.ok(MAX_VALUE_BYTES)
})
