import t, { type Test } from 'tap'
import { State, embeddedBackend, memoryBackend, openRemoteBackend, remoteBackend } from '../../state/index.js'
import type { OpenBackend, TableCommit } from '../../state/index.js'
import { loadPlugin } from '../../state/plugin.js'
import { probeTable } from '../../state/probe.js'
import { RemoteRecords } from '../../state/remote-records.js'
import { runStateTck } from '../../state/tck.js'
import { MemoryTable, SharedRecords } from '../support/memory-table.js'
import { append, increment, set, TestClock, txn, versionIs } from '../support/state.js'
import { event, openTestStore, readAll } from '../support/store.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

/** Opens the same data directory each time. */
function storeOf(t: Test) {
  const path = temporaryDirectory(t)
  return () => openTestStore(path, { sync: 'os' })
}

/** A state whose records are in a table of which the test has a hold. */
async function openOver(t: Test, table: MemoryTable, patienceMs = 200) {
  const { store, close } = await storeOf(t)()
  const clock = new TestClock()
  const records = await RemoteRecords.open({ table, local: store.state, attemptMs: 100, patienceMs, epoch: 1 })
  const backend = { name: table.name, capabilities: table.capabilities, records }
  const state = await State.open({ backend, clock, logger: { warn: () => undefined }, maxBytes: 2 ** 20 })
  t.teardown(async () => {
    await state.close()
    await records.close()
    await close()
  })
  return { state, store, records }
}

t.test('embedded', async (t) => {
  const open = storeOf(t)
  runStateTck({
    test: (name, run) => t.test(name, run),
    open: async () => {
      const { store, close } = await open()
      return { backend: embeddedBackend(store.state), close }
    },
  })
})

t.test('memory', async (t) => {
  const open = storeOf(t)
  runStateTck({
    test: (name, run) => t.test(name, run),
    open: async () => {
      const { store, close } = await open()
      return { backend: memoryBackend(store.state), close }
    },
    isVolatile: true,
  })
})

t.test('a table elsewhere', async (t) => {
  const open = storeOf(t)
  const shared = new SharedRecords()
  runStateTck({
    test: (name, run) => t.test(name, run),
    open: async () => {
      const { store, close } = await open()
      return withStore(await remoteBackend(new MemoryTable(shared), store.state, Date.now()), close)
    },
  })
})

t.test('a server that cannot be reached is named, its password is not', async (t) => {
  const { store, close } = await storeOf(t)()
  t.teardown(close)
  for (const kind of ['redis', 'postgres'] as const) {
    const url = `${kind}://user:secret@127.0.0.1:1/0`
    const error = await openRemoteBackend({
      kind,
      url,
      scope: 'n',
      local: store.state,
      nowMicros: 1,
      patienceMs: 10,
    }).then(
      () => undefined,
      (error: unknown) => error as Error & { code: string },
    )
    t.equal(error?.code, 'ERR_STATE_UNREACHABLE')
    t.notMatch(error?.message, 'secret')
  }
})

t.test(
  'a package that is missing is named, with the way to get it; what it lacks itself is told as it is',
  async (t) => {
    const plugin = (load: () => Promise<object>) =>
      loadPlugin({ backend: 'postgres', packageName: 'no-such-package', range: '8', load })
    const named = (name: string) => (): Promise<object> => import(name) as Promise<object>
    const message = /"postgres" needs the package no-such-package.*: npm install no-such-package@8/
    await t.rejects(plugin(named('no-such-package')), { code: 'ERR_STATE_PLUGIN_MISSING', message })
    await t.rejects(plugin(named('no-such-part-of-it')), { message: /^Cannot find package 'no-such-part-of-it'/ })
  },
)

t.test('a commit whose answer is lost is done once', async (t) => {
  const table = new MemoryTable()
  const { state } = await openOver(t, table, 5000)
  table.faults.push('answer-lost', 'request-lost', 'answer-lost')
  await txn(state, { then: [increment('n/k')] })
  await txn(state, { then: [increment('n/k')] })
  t.equal((await state.get('n/k'))?.value, '2')
})

t.test('who gets no answer is told so, and finds out with the same request id', async (t) => {
  const table = new MemoryTable()
  const { state } = await openOver(t, table)
  table.faults.push('answer-lost', ...Array.from({ length: 50 }, () => 'request-lost' as const))
  await t.rejects(txn(state, { then: [increment('n/k')], requestId: 'r' }), { code: 'ERR_OUTCOME_UNKNOWN' })
  await t.rejects(state.get('n/k'), { code: 'ERR_STATE_UNREACHABLE' }, 'nothing is read while that is open')
  table.faults.length = 0
  await txn(state, { then: [increment('n/k')], requestId: 'r' })
  t.equal((await state.get('n/k'))?.value, '1')
  table.isAway = true
  await t.rejects(txn(state, { then: [increment('n/k')] }), { code: 'ERR_STATE_UNREACHABLE' })
  await t.rejects(state.get('n/k'), { code: 'ERR_STATE_UNREACHABLE' })
  table.isAway = false
  t.equal((await state.get('n/k'))?.value, '1', 'what was not sent was not done')
})

t.test('watches are told of a commit when its outcome is known, in order', async (t) => {
  const table = new MemoryTable()
  const { state } = await openOver(t, table)
  const seen: unknown[] = []
  const watching = (async () => {
    for await (const { changes } of state.watch('n/', undefined, new AbortController().signal)) {
      seen.push(...changes.map(({ value }) => value))
      if (seen.length === 2) return
    }
  })()
  table.faults.push(...Array.from({ length: 50 }, () => 'request-lost' as const))
  await t.rejects(txn(state, { then: [increment('n/k')] }), { code: 'ERR_OUTCOME_UNKNOWN' })
  table.faults.length = 0
  await txn(state, { then: [increment('n/k')] })
  await watching
  t.same(seen, ['1', '2'])
})

t.test('events and records agree after a crash between the two', async (t) => {
  const shared = new SharedRecords()
  const open = storeOf(t)
  const table = new MemoryTable(shared)
  const opened = await open()
  const clock = new TestClock()
  const options = { clock, logger: { warn: () => undefined }, maxBytes: 2 ** 20 }
  const timing = { attemptMs: 100, patienceMs: 100, epoch: 1 }
  const records = await RemoteRecords.open({ table, local: opened.store.state, ...timing })
  const state = await State.open({ backend: { name: 'shared', capabilities: table.capabilities, records }, ...options })
  const requests = ['a', 'b'].map((name) => ({
    then: [set(`n/${name}`, name), increment('n/count')],
    append: [append([event(name)], [], name)],
    requestId: name,
  }))
  await txn(state, { then: [set('n/before', 1)] })
  table.faults.push(...Array.from({ length: 50 }, () => 'request-lost' as const))
  const lost = await Promise.allSettled(requests.map((request) => txn(state, request)))
  t.match(lost, [{ reason: { code: 'ERR_OUTCOME_UNKNOWN' } }, { reason: { code: 'ERR_OUTCOME_UNKNOWN' } }])
  t.equal((await readAll(opened.store)).length, 2)
  t.equal(shared.records.get('\x10n/count'), undefined)
  await state.close()
  await records.close()
  await opened.close()

  const again = await open()
  t.teardown(again.close)
  const { backend, close } = await remoteBackend(new MemoryTable(shared), again.store.state, 2)
  const later = await State.open({ backend, ...options })
  t.equal((await later.get('n/count'))?.value, '2')
  const [answer] = await Promise.all(requests.map((request) => txn(later, request)))
  t.equal(answer?.appended.length, 1)
  t.equal((await later.get('n/count'))?.value, '2')
  t.equal((await readAll(again.store)).length, 2)
  await later.close()
  await close()
})

t.test('a refused transaction beside others in one commit stores neither events nor records', async (t) => {
  const table = new MemoryTable()
  const { state, store } = await openOver(t, table)
  const { commits } = table.shared
  const outcomes = await Promise.allSettled([
    txn(state, { then: [set('n/a', 1)], append: [append([event('a')], [[0, -1]])] }),
    txn(state, { then: [set('n/b', 1), increment('n/b', 2n ** 64n)], append: [append([event('b')])] }),
    txn(state, { if: [versionIs('n/a', 0)], then: [set('n/a', 2)], append: [append([event('c')])] }),
    txn(state, { then: [set('n/d', 1)], append: [append([event('d')], [[0, 0]])] }),
  ])
  t.same(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
  )
  t.same(
    (await readAll(store)).map(({ payload, offset }) => [payload, offset]),
    [
      ['a', 0],
      ['d', 1],
    ],
  )
  t.equal(await state.get('n/b'), undefined)
  t.equal(table.shared.commits, commits + 1, 'what is asked at once is one commit')
  t.equal((await state.info()).sameCommitAppend, false)
})

t.test('a failover that loses commits is noticed, and nothing is written over it', async (t) => {
  const table = new MemoryTable()
  const { state } = await openOver(t, table)
  const { mark } = table.shared
  await txn(state, { then: [set('n/k', 1)] })
  table.shared.mark = mark
  await t.rejects(txn(state, { then: [set('n/k', 2)] }), { code: 'ERR_STATE_TAKEN_OVER' })
  await t.rejects(state.get('n/k'), { code: 'ERR_STATE_TAKEN_OVER' })
})

t.test('probes find what a backend does not do', async (t) => {
  class Wrong extends MemoryTable {
    readonly #apply: (table: SharedRecords, commit: TableCommit, own: (commit: TableCommit) => boolean) => boolean
    constructor(apply: (table: SharedRecords, commit: TableCommit, own: (commit: TableCommit) => boolean) => boolean) {
      super()
      this.#apply = apply
    }
    protected override apply(commit: TableCommit): boolean {
      return this.#apply(this.shared, commit, (each) => super.apply(each))
    }
  }
  await probeTable(new MemoryTable())
  const used = new MemoryTable()
  await probeTable(used)
  await probeTable(used)
  t.equal(used.shared.records.size, 0, 'nothing is left behind')
  const probe = (table: MemoryTable, name: string) =>
    t.rejects(probeTable(table), { code: 'ERR_STATE_PROBE_FAILED', probe: name })
  await probe(new Wrong((shared, commit, own) => own({ ...commit, after: shared.mark })), 'atomicCas')
  await probe(new Wrong((_, commit, own) => own({ ...commit, writes: [] })), 'readYourWrites')
  await probe(new Wrong((_, commit, own) => own({ ...commit, writes: commit.writes.slice(0, 1) })), 'order')
  await probe(new MemoryTable(undefined, { durableAck: false }), 'durableAck')
})

function withStore({ backend, close }: OpenBackend, closeStore: () => Promise<void>): OpenBackend {
  return {
    backend,
    close: async () => {
      await close()
      await closeStore()
    },
  }
}
