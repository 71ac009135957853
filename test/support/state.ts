import type { Clock } from '../../core/index.js'
import {
  COUNTER_MAX,
  COUNTER_MIN,
  embeddedBackend,
  memoryBackend,
  State,
  type Append,
  type Condition,
  type Operation,
  type Ttl,
  type TxnRequest,
  type TxnResult,
} from '../../state/index.js'
import type { AppendEvent, Store } from '../../storage/index.js'
import { openTestStore } from './store.js'
import { temporaryDirectory } from './temporary-directory.js'

/** A clock that tests turn. */
export class TestClock implements Clock {
  wallMs = 1_800_000_000_000
  ms = 5_000

  nowMicros(): number {
    return this.wallMs * 1000
  }

  monotonicMs(): number {
    return this.ms
  }

  /** Time goes by, for both clocks. */
  pass(ms: number): void {
    this.ms += ms
    this.wallMs += ms
  }
}

/** Milliseconds: tests sweep when they want it. */
const NEVER = 2 ** 31 - 1

/** The state of a test's store. */
export function openState(
  store: Store,
  clock: Clock,
  { backend = 'embedded', maxBytes = 2 ** 20 }: { backend?: 'embedded' | 'memory'; maxBytes?: number } = {},
): Promise<State> {
  const logger = { warn: () => undefined }
  const make = backend === 'memory' ? memoryBackend : embeddedBackend
  return State.open({ backend: make(store.state), clock, logger, maxBytes, sweepMs: NEVER })
}

/** A state in a store of its own, which can be closed and opened again. */
export async function startState(t: Teardown, settings: { backend?: 'embedded' | 'memory'; maxBytes?: number } = {}) {
  const path = temporaryDirectory(t)
  const clock = new TestClock()
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
    /** @param isCrash the store goes first, so that the state can do nothing at its end */
    restart: async (isCrash = false): Promise<void> => {
      if (isCrash) await opened.close()
      await close()
      opened = await openTestStore(path)
      state = await openState(opened.store, clock, settings)
    },
  }
}

interface Teardown {
  readonly teardown: (work: () => unknown) => void
}

export const APP = 'com.example.test'

/** A transaction with what is not named left empty. */
export function txn(state: State, request: Partial<TxnRequest>): Promise<TxnResult> {
  return state.txn({ app: APP, if: [], then: [], else: [], append: [], requestId: undefined, ...request })
}

export function set(key: string, value: unknown, ttl: Ttl = null): Operation {
  return { kind: 'set', key, value: JSON.stringify(value), ttl }
}

export function increment(key: string, delta = 1n, min = COUNTER_MIN, max = COUNTER_MAX): Operation {
  return { kind: 'increment', key, delta, min, max, ttl: null }
}

/** That an entry has a version; 0 for one that is absent. */
export function versionIs(key: string, version: number): Condition {
  return { kind: 'entry', key, version, value: undefined, exists: undefined }
}

/** Events with one condition and one idempotency key. */
export function append(
  events: readonly AppendEvent[],
  expected: readonly (readonly [streamNumber: number, offset: number])[] = [],
  idempotencyKey?: string,
): Append {
  return {
    request: { appId: APP, timestamp: 1_000_000, events },
    expected: expected.map(([streamNumber, offset]) => ({ streamNumber, stream: String(streamNumber), offset })),
    idempotencyKey,
  }
}
