// The state on real servers, also while they stop, die, and cut connections.
import t, { type Test } from 'tap'
import { openRemoteBackend, State, type StateBackend, type TxnRequest, type TxnResult } from '../../state/index.js'
import { PostgresTable } from '../../state/postgres-table.js'
import { RedisTable } from '../../state/redis-table.js'
import { RemoteRecords } from '../../state/remote-records.js'
import { runStateTck } from '../../state/tck.js'
import type { Store } from '../../storage/index.js'
import { FaultProxy } from '../support/fault-proxy.js'
import { testLevel } from '../support/level.js'
import { append, increment, set, TestClock, txn } from '../support/state.js'
import { missingPostgres, missingRedis, startPostgres, startRedis } from '../support/state-servers.js'
import { event, openTestStore, readAll, until } from '../support/store.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

/** Opens the same data directory each time. */
function storeOf(t: Test) {
  const path = temporaryDirectory(t)
  return () => openTestStore(path, { sync: 'os' })
}

async function openStore(t: Test): Promise<Store> {
  const { store, close } = await storeOf(t)()
  t.teardown(close)
  return store
}

function openState(backend: StateBackend): Promise<State> {
  const options = { clock: new TestClock(), logger: { warn: () => undefined }, maxBytes: 2 ** 20 }
  return State.open({ backend, ...options })
}

const KINDS = [
  { kind: 'redis', missing: missingRedis(), start: startRedis, crash: 'SIGKILL', end: 'SIGTERM' },
  // PostgreSQL ends at once on SIGQUIT, and recovers from its log as after a crash; on SIGINT it ends in good order.
  { kind: 'postgres', missing: missingPostgres(), start: startPostgres, crash: 'SIGQUIT', end: 'SIGINT' },
] as const

for (const { kind, missing, start, crash, end } of KINDS) {
  t.test(kind, { skip: missing }, async (t) => {
    const server = await start(t)
    const { url } = server

    await t.test('does what a backend has to do', async (t) => {
      const open = storeOf(t)
      runStateTck({
        test: (name, run) => t.test(name, run),
        open: async () => {
          const { store, close } = await open()
          const options = { kind, url, scope: 'tck', local: store.state, nowMicros: Date.now() * 1000 }
          const opened = await openRemoteBackend(options)
          return {
            backend: opened.backend,
            close: async () => {
              await opened.close()
              await close()
            },
          }
        },
      })
    })

    await t.test('two nodes share a server, and one node is kept by one process', async (t) => {
      const store = await openStore(t)
      const open = async (scope: string) => {
        const opened = await openRemoteBackend({ kind, url, scope, local: store.state, nowMicros: 1 })
        t.teardown(() => opened.close())
        return openState(opened.backend)
      }
      const one = await open('node-1')
      const other = await open('node-2')
      await txn(one, { then: [set('n/k', 1)] })
      t.equal(await other.get('n/k'), undefined)
      await other.close()
      const next = await open('node-1')
      await t.rejects(txn(one, { then: [set('n/k', 2)] }), { code: 'ERR_STATE_TAKEN_OVER' })
      t.equal((await next.get('n/k'))?.value, '1')
      await one.close()
      await next.close()
    })

    await t.test('what is told stays true while connections are cut and the server stops, dies and ends', async (t) => {
      const store = await openStore(t)
      await using proxy = await FaultProxy.open(server.port)
      const across = url.replace(String(server.port), String(proxy.port))
      const first = await openImpatient(kind, across, store)
      const work = new Work(first.state)

      // Requests and answers are on their way for a while, so some are cut off on either side of the commit.
      proxy.set({ delayMs: 3, jitterMs: 10 })
      const cuts = testLevel() === 'nightly' ? 200 : 12
      for (let at = 0; at < cuts; at++) {
        await work.progress()
        proxy.reset()
      }
      proxy.set({ delayMs: 0, jitterMs: 0 })

      for (let at = 0; at < 2; at++) {
        await work.progress()
        server.pause()
        await until(() => work.isHeldUp)
        server.resume()
      }

      await work.progress()
      await server.stop(crash)
      await until(() => work.isHeldUp)
      await server.start()

      await work.progress()
      await server.stop(end)
      await server.start()

      await work.progress()
      await work.end()
      await t.test('in the process that asked', (t) => checkWork(t, work, first.state, store))
      await first.close()
      const second = await openImpatient(kind, url, store)
      await t.test('and in the next one', (t) => checkWork(t, work, second.state, store))
      await second.close()
    })

    await t.test('a server that is not up yet is waited for', async (t) => {
      const store = await openStore(t)
      await server.stop(end)
      const opening = openRemoteBackend({ kind, url, scope: 'late', local: store.state, nowMicros: 1, patienceMs: 1e6 })
      await server.start()
      await (await opening).close()
    })

    await t.test('one that refuses the user is not', async (t) => {
      const store = await openStore(t)
      const stranger = url.replace('millrace@', 'stranger@').replace('redis://', 'redis://stranger:secret@')
      const common = { scope: 'n', local: store.state, nowMicros: 1, patienceMs: 1e6 }
      await t.rejects(openRemoteBackend({ kind, url: stranger, ...common }), { code: 'ERR_STATE_UNREACHABLE' })
    })
  })
}

t.test('a server that does not keep what it acknowledges is refused', async (t) => {
  const store = await openStore(t)
  const common = { scope: 'node-1', local: store.state, nowMicros: 1 }
  const refusal = { code: 'ERR_STATE_PROBE_FAILED', probe: 'durableAck' }
  if (missingRedis() === false) {
    const faults = [
      { appendfsync: 'everysec' },
      { appendonly: 'no' },
      { 'no-appendfsync-on-rewrite': 'yes' },
      { maxmemory: '64mb', 'maxmemory-policy': 'allkeys-lru' },
    ]
    for (const fault of faults) {
      const { url } = await startRedis(t, fault)
      await t.rejects(openRemoteBackend({ kind: 'redis', url, ...common }), refusal)
    }
  }
  if (missingPostgres() === false) {
    const { url } = await startPostgres(t, ['fsync=off'])
    await t.rejects(openRemoteBackend({ kind: 'postgres', url, ...common }), refusal)
  }
})

/** A state that soon says that it does not know. */
async function openImpatient(kind: 'redis' | 'postgres', url: string, store: Store) {
  const attemptMs = 1500
  const options = { url, scope: 'faults', attemptMs }
  const table = kind === 'redis' ? await RedisTable.open(options) : await PostgresTable.open(options)
  const records = await RemoteRecords.open({
    table,
    local: store.state,
    attemptMs,
    patienceMs: 1000,
    epoch: Date.now(),
  })
  const state = await openState({ name: kind, capabilities: table.capabilities, records })
  return {
    state,
    close: async () => {
      await state.close()
      await records.close()
    },
  }
}

/** Callers that go on asking whatever happens, and what they were told. */
class Work {
  /** Answers by request id, of transactions that are asked again until there is one. */
  readonly told = new Map<string, TxnResult>()
  /** Transactions that are asked once: done, and maybe done. */
  done = 0
  unknown = 0
  /** Whether the newest answer was a refusal. */
  isHeldUp = false
  readonly #state: State
  readonly #callers: readonly Promise<void>[]
  #isOver = false

  constructor(state: State) {
    this.#state = state
    this.#callers = [this.#publish('a'), this.#publish('b'), this.#publish('c'), this.#count(), this.#count()]
  }

  /** Resolves when more was done, of each kind. */
  async progress(): Promise<void> {
    const [told, done] = [this.told.size, this.done]
    await until(() => this.told.size >= told + 3 && this.done > done)
  }

  async end(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#callers)
  }

  async #publish(caller: string): Promise<void> {
    for (let at = 0; !this.#isOver; at++) {
      const requestId = `${caller}-${String(at)}`
      const events = append([event(requestId)], [], requestId)
      const request = { then: [increment('n/asked-again')], append: [events], requestId }
      let answer = await this.#ask(request)
      while (typeof answer === 'string') answer = await this.#ask(request)
      this.told.set(requestId, answer)
    }
  }

  async #count(): Promise<void> {
    while (!this.#isOver) {
      const answer = await this.#ask({ then: [increment('n/asked-once')] })
      if (answer === 'ERR_OUTCOME_UNKNOWN') this.unknown++
      else if (typeof answer !== 'string') this.done++
    }
  }

  /** The answer, or the code of the error that says that there is none now. */
  async #ask(request: Partial<TxnRequest>): Promise<TxnResult | 'ERR_OUTCOME_UNKNOWN' | 'ERR_STATE_UNREACHABLE'> {
    try {
      const answer = await txn(this.#state, request)
      this.isHeldUp = false
      return answer
    } catch (error) {
      const { code } = error as { code?: string }
      if (code !== 'ERR_OUTCOME_UNKNOWN' && code !== 'ERR_STATE_UNREACHABLE') throw error
      this.isHeldUp = true
      return code
    }
  }
}

/** What callers were told, against what is there. */
async function checkWork(t: Test, { told, done, unknown }: Work, state: State, store: Store): Promise<void> {
  t.equal((await state.get('n/asked-again'))?.value, String(told.size), 'each is done once')
  const once = Number((await state.get('n/asked-once'))?.value)
  t.ok(done <= once && once <= done + unknown, 'what is done was told to be, or that nobody knows')
  const stored = new Map((await readAll(store)).map(({ payload, offset }) => [payload, offset]))
  const expected = [...told].map(([id, { appended }]) => [id, appended[0]?.offset] as const)
  t.same(
    stored,
    new Map(expected.sort(([, a = 0], [, b = 0]) => a - b)),
    'each event is stored once, where it was told',
  )
  const revisions = [...told.values()].map(({ revision }) => revision)
  t.equal(new Set(revisions).size, revisions.length, 'no revision was given twice')
}
