import t from 'tap'
import type { LockGrant, LockMode, LockRequest, State } from '../../state/index.js'
import { until } from '../support/store.js'
import { APP, set, startState, txn } from '../support/state.js'

const NAME = 'n/lock/a'
const LEASE_MS = 60_000

function request(owner: string, mode: LockMode = 'write', changed: Partial<LockRequest> = {}): LockRequest {
  return { app: APP, name: NAME, ttlMs: LEASE_MS, mode, owner, requestId: undefined, ...changed }
}

const never = new AbortController().signal

/** A grant at once, or `undefined`. */
async function attempt(state: State, wish: LockRequest): Promise<LockGrant | undefined> {
  try {
    return await state.locks.acquire(wish, 0, never)
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_LOCK_TIMEOUT') return undefined
    throw error
  }
}

function give(state: State, { name, fence }: LockGrant): Promise<boolean> {
  return state.locks.release({ lock: name, fence })
}

for (const backend of ['embedded', 'memory'] as const) {
  t.test(`${backend}: of many who want a lock at once one gets it, and fences grow with every grant`, async (t) => {
    const { state } = await startState(t, { backend })
    let newest = 0
    for (let round = 0; round < 3; round++) {
      const race = await Promise.all(Array.from({ length: 32 }, (_, at) => attempt(state, request(String(at)))))
      const [grant, ...others] = race.filter((each) => each !== undefined)
      t.same(others, [])
      t.ok(grant !== undefined && grant.fence > newest, 'higher than all before')
      newest = grant?.fence ?? 0
      t.equal(await give(state, grant!), true)
      t.equal(await give(state, grant!), false, 'once')
    }
    t.match(await state.info(), { bytes: 0, entries: 0 }, 'a lock that nobody has takes no room')
  })
}

t.test(
  'a write with the fence of a grant that has ended is refused, also in the commit that follows at once',
  async (t) => {
    const { state, clock } = await startState(t)
    const first = (await attempt(state, request('first')))!
    const fencedBy = { lock: NAME, fence: first.fence }
    await txn(state, { then: [set('n/k', 1)], fencedBy, requestId: 'r' })
    const released = give(state, first)
    const late = txn(state, { then: [set('n/k', 2)], fencedBy })
    await t.rejects(late, { code: 'ERR_FENCED' })
    await released
    t.equal((await txn(state, { then: [set('n/k', 1)], fencedBy, requestId: 'r' })).succeeded, true, 'a retry is told')
    const second = (await attempt(state, request('second')))!
    await t.rejects(txn(state, { then: [set('n/k', 2)], fencedBy }), { code: 'ERR_FENCED' })
    const asCondition = { if: [{ kind: 'lock', ...fencedBy } as const], then: [set('n/k', 2)] }
    t.equal((await txn(state, asCondition)).succeeded, false)
    const current = { lock: NAME, fence: second.fence }
    t.equal((await txn(state, { ...asCondition, if: [{ kind: 'lock', ...current }] })).succeeded, true)
    clock.pass(LEASE_MS)
    await t.rejects(
      txn(state, { then: [set('n/k', 3)], fencedBy: current }),
      { code: 'ERR_FENCED' },
      'to the millisecond',
    )
    t.equal((await state.get('n/k'))?.value, '2')
    t.equal(state.counters.fenced, 3)
  },
)

t.test('a stale guard neither prolongs nor releases the next holder', async (t) => {
  const { state, clock } = await startState(t)
  const stale = (await attempt(state, request('stale', 'write', { ttlMs: 100 })))!
  clock.pass(100)
  const next = (await attempt(state, request('next')))!
  t.equal(await give(state, stale), false)
  await t.rejects(state.locks.extend({ lock: NAME, fence: stale.fence }, 1000), { code: 'ERR_LOCK_LOST' })
  t.match(await state.locks.find(NAME), { holders: [{ fence: next.fence, owner: 'next' }], waiters: [] })
  clock.pass(LEASE_MS - 1)
  await state.locks.extend({ lock: NAME, fence: next.fence }, LEASE_MS)
  clock.pass(LEASE_MS - 1)
  t.equal(await attempt(state, request('third')), undefined, 'it lasts from when it was prolonged')
})

t.test('who waits gets the lock in turn; who goes away or gives up does not get it', async (t) => {
  const { state } = await startState(t)
  const holder = (await attempt(state, request('holder')))!
  const order: string[] = []
  const gone = new AbortController()
  const waits = ['a', 'gone', 'b', 'c'].map(async (owner) => {
    const signal = owner === 'gone' ? gone.signal : never
    const grant = await state.locks.acquire(request(owner), 600_000, signal).catch(() => undefined)
    if (grant === undefined) return
    order.push(owner)
    await give(state, grant)
  })
  await t.rejects(state.locks.acquire(request('hasty'), 1, never), { code: 'ERR_LOCK_TIMEOUT' })
  t.same(
    (await state.locks.find(NAME))?.waiters.map(({ owner }) => owner),
    ['a', 'gone', 'b', 'c'],
  )
  t.equal(await attempt(state, request('pushy')), undefined)
  gone.abort()
  await give(state, holder)
  await Promise.all(waits)
  t.same(order, ['a', 'b', 'c'])
  t.equal(await state.locks.find(NAME), undefined)
  t.equal(state.counters.lockWaiters, 0)
})

t.test('nobody passes those who wait, though the lock is free for a moment', async (t) => {
  const { state } = await startState(t)
  const holder = (await attempt(state, request('holder')))!
  const waiting = state.locks.acquire(request('first'), 600_000, never)
  const [, pushy, grant] = await Promise.all([give(state, holder), attempt(state, request('pushy')), waiting])
  t.equal(pushy, undefined)
  t.equal(grant.owner, 'first')
})

t.test('a grant to somebody who went away meanwhile is taken back', async (t) => {
  const { state } = await startState(t)
  for (const waitMs of [0, 600_000]) {
    const gone = new AbortController()
    const asked = state.locks.acquire(request('gone'), waitMs, gone.signal)
    gone.abort()
    await t.rejects(asked, { code: 'ERR_ABORTED' })
    await until(async () => (await state.locks.find(NAME)) === undefined)
    const grant = await attempt(state, request('next'))
    t.ok(grant)
    await give(state, grant!)
  }
})

t.test('readers share a lock, and a writer who waits comes before readers', async (t) => {
  const { state } = await startState(t)
  const readers = await Promise.all(['r1', 'r2'].map((owner) => attempt(state, request(owner, 'read'))))
  t.not(readers[0]?.fence, readers[1]?.fence)
  t.equal(await attempt(state, request('w', 'write')), undefined)
  const order: string[] = []
  const wait = async (owner: string, mode: LockMode): Promise<LockGrant> => {
    const grant = await state.locks.acquire(request(owner, mode), 600_000, never)
    order.push(owner)
    return grant
  }
  const first = wait('w1', 'write')
  const shared = [wait('r3', 'read'), wait('r4', 'read')]
  const second = wait('w2', 'write')
  t.equal(await attempt(state, request('r5', 'read')), undefined, 'readers do not pass a writer who waits')
  for (const reader of readers) await give(state, reader!)
  await give(state, await first)
  await give(state, await second)
  for (const grant of await Promise.all(shared)) await give(state, grant)
  t.same(order.slice(0, 2), ['w1', 'w2'])
  t.same(order.slice(2).sort(), ['r3', 'r4'])
})

t.test('who waits is woken when a lease ends', async (t) => {
  const { state, clock } = await startState(t)
  await attempt(state, request('holder', 'write', { ttlMs: 100 }))
  const waiting = state.locks.acquire(request('next'), 600_000, never)
  clock.pass(100)
  t.match(await waiting, { owner: 'next' })
})

t.test('the same request made again takes the place of the first one', async (t) => {
  const { state } = await startState(t)
  const wish = request('x', 'write', { requestId: 'r' })
  const first = (await attempt(state, wish))!
  const again = (await attempt(state, wish))!
  t.ok(again.fence > first.fence)
  t.equal(await give(state, first), false, 'the first answer counts no more')
  const before = state.locks.acquire(request('y', 'write', { requestId: 'w' }), 600_000, never)
  const behind = state.locks.acquire(request('z'), 600_000, never)
  const place = state.locks.acquire(request('y2', 'write', { requestId: 'w' }), 600_000, never)
  await t.rejects(before, { code: 'ERR_ABORTED' })
  await give(state, again)
  const grant = await place
  t.equal(grant.owner, 'y2')
  await give(state, grant)
  await give(state, await behind)
})

t.test(
  'a lock that was held at a restart is held for its whole time once more, unless its holder comes back',
  async (t) => {
    const node = await startState(t)
    const grant = (await attempt(node.state, request('holder')))!
    node.clock.pass(LEASE_MS / 2)
    for (const jumpMs of [10 * 365 * 86_400_000, -20 * 365 * 86_400_000]) {
      node.clock.wallMs += jumpMs
      await node.restart()
      await node.state.sweep()
      node.clock.pass(LEASE_MS - 1)
      await node.state.sweep()
      t.equal(await attempt(node.state, request('next')), undefined)
      t.equal(
        (await txn(node.state, { then: [set('n/k', 1)], fencedBy: { lock: NAME, fence: grant.fence } })).succeeded,
        true,
      )
    }
    await node.restart()
    await node.state.locks.extend({ lock: NAME, fence: grant.fence }, 100)
    node.clock.pass(100)
    await node.state.sweep()
    t.equal((await node.state.info()).bytes, 1 + 'n/k'.length, 'what has ended takes no room')
    const next = (await attempt(node.state, request('next')))!
    t.ok(next.fence > grant.fence)
    await node.restart()
    t.equal(await give(node.state, next), true, 'it can release it, too')
    t.ok(await attempt(node.state, request('third')))
  },
)

t.test('a grant that was told to have ended does not come back behind a crash', async (t) => {
  const ways: Record<string, (state: State, fence: { lock: string; fence: number }) => Promise<unknown>> = {
    'a fenced write': (state, fencedBy) => txn(state, { then: [set('n/k', 1)], fencedBy }),
    'a condition': (state, fence) => txn(state, { if: [{ kind: 'lock', ...fence }] }),
    'an extension': (state, fence) => state.locks.extend(fence, LEASE_MS),
    'a release': (state, fence) => state.locks.release(fence),
    'a look at it': (state) => state.locks.find(NAME),
    'a look at all': (state) => state.locks.list('', undefined, 1),
  }
  const node = await startState(t)
  for (const [way, look] of Object.entries(ways)) {
    const { fence } = (await attempt(node.state, request('holder', 'write', { ttlMs: 100 })))!
    node.clock.pass(100)
    await look(node.state, { lock: NAME, fence }).catch(() => undefined)
    await node.restart(true)
    t.equal(await node.state.locks.find(NAME), undefined, way)
    const next = (await attempt(node.state, request('next')))!
    t.ok(next.fence > fence)
    await give(node.state, next)
  }
  const { fence } = (await attempt(node.state, request('holder', 'write', { ttlMs: 100 })))!
  node.clock.pass(100)
  await node.restart()
  await t.rejects(node.state.locks.extend({ lock: NAME, fence }, 100), { code: 'ERR_LOCK_LOST' }, 'a stop, too')
})

t.test('a page of locks is full though leases before it are over', async (t) => {
  const { state, clock } = await startState(t)
  for (const at of [1, 2, 3, 4]) await attempt(state, request('x', 'write', { name: `n/a/${String(at)}`, ttlMs: 100 }))
  for (const at of [1, 2]) await attempt(state, request('x', 'write', { name: `n/b/${String(at)}` }))
  clock.pass(100)
  const names = (await state.locks.list('', undefined, 2)).map(({ name }) => name)
  t.same(names, ['n/b/1', 'n/b/2'])
})

t.test('behind a restored backup no old guard is good, and nobody else gets the lock before its time', async (t) => {
  const node = await startState(t)
  const grant = (await attempt(node.state, request('holder')))!
  await node.store.replicas.beginEpoch(1)
  await node.restart()
  const fence = { lock: NAME, fence: grant.fence }
  await t.rejects(node.state.locks.extend(fence, LEASE_MS), { code: 'ERR_LOCK_LOST' })
  await t.rejects(txn(node.state, { then: [set('n/k', 1)], fencedBy: fence }), { code: 'ERR_FENCED' })
  t.equal(await attempt(node.state, request('next')), undefined)
  node.clock.pass(LEASE_MS)
  const next = (await attempt(node.state, request('next')))!
  t.ok(next.fence > grant.fence + 2 ** 32 - 1)
})

t.test('locks are listed by their names, with those who wait', async (t) => {
  const { state } = await startState(t)
  for (const name of ['n/lock/b', 'n/lock/c', 'o/lock/a']) await attempt(state, request('x', 'write', { name }))
  const waiting = state.locks
    .acquire(request('y', 'write', { name: 'n/lock/c' }), 600_000, never)
    .catch(() => undefined)
  const names = async (prefix: string, after?: string): Promise<string[]> =>
    (await state.locks.list(prefix, after, 10)).map(({ name }) => name)
  t.same(await names(''), ['n/lock/b', 'n/lock/c', 'o/lock/a'])
  t.same(await names('n/'), ['n/lock/b', 'n/lock/c'])
  t.same(await names('n/', 'n/lock/b'), ['n/lock/c'])
  t.match(await state.locks.list('n/lock/c', undefined, 10), [{ holders: [{ owner: 'x' }], waiters: [{ owner: 'y' }] }])
  await state.close()
  t.equal(await waiting, undefined, 'nobody waits when the state is closed')
})

t.test('a grant that is watched is told to have ended when it is released or its time is over', async (t) => {
  const { state, clock } = await startState(t)
  const first = (await attempt(state, request('x')))!
  const ended = state.locks.whileHeld(first, never)
  await give(state, first)
  await ended
  const second = (await attempt(state, request('x', 'write', { ttlMs: 100 })))!
  const expired = state.locks.whileHeld(second, never)
  clock.pass(100)
  await expired
})
