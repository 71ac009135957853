import type { Answered, Call, Model } from '../operation.js'
import { earliestEnd, lapse, type Timed } from './lease.js'

/** Fences are decimals. Without `ttlMs` a grant has no end. `write` is any write with the fence as its condition. */
export type LockInput =
  | { readonly op: 'acquire'; readonly ttlMs?: number }
  | { readonly op: 'extend'; readonly fence: string; readonly ttlMs?: number }
  | { readonly op: 'release' | 'write'; readonly fence: string }
  | { readonly op: 'read' }

export interface LockOutput {
  /** Of `acquire`, `null` when somebody else has it; of `read`, `null` when nobody has it. */
  readonly fence?: string | null
  /** Of `extend`, `release` and `write`: whether the fence was that of the current grant. */
  readonly done?: boolean
}

export interface LockState extends Timed {
  /** `unknown` when it was granted in an answer that never came. */
  readonly holder: bigint | 'unknown' | undefined
  /** No fence is known to be higher; the next one is. */
  readonly newest: bigint
}

function released(state: LockState): LockState {
  return { ...state, holder: undefined, until: 0 }
}

/** The state when nobody holds the lock at some time up to `latest`. */
function free(state: LockState, latest: number): LockState | undefined {
  if (state.holder === undefined) return state
  const lapsed = lapse(state, latest)
  return lapsed && released(lapsed)
}

function isHeldBy(state: LockState, fence: string): boolean {
  return state.holder === BigInt(fence)
}

/** The state after the holder of `fence` did something. */
function usedBy(state: LockState, input: LockInput & { readonly fence: string }, invoked: number): LockState {
  if (input.op === 'release') return released(state)
  return input.op === 'extend' ? { ...state, until: earliestEnd(invoked, input.ttlMs) } : state
}

/** The state when somebody reads who holds the lock. */
function seeing(state: LockState, fence: string | null, latest: number): LockState | undefined {
  if (fence === null) return free(state, latest)
  if (state.holder !== 'unknown') return isHeldBy(state, fence) ? state : undefined
  const seen = BigInt(fence)
  return seen < state.newest ? undefined : { ...state, holder: seen, newest: seen }
}

/** A lock with leases, of which one grant at most is current, and fences that only grow. */
export const lock: Model<LockInput, LockOutput, LockState> = {
  initial: { holder: undefined, newest: 0n, until: 0, clock: 0 },

  step(state, { input, output, invoked, returned }: Answered<LockInput, LockOutput>) {
    if (returned < state.clock) return undefined
    const { fence = null, done = false } = output
    switch (input.op) {
      case 'read':
        return seeing(state, fence, returned)
      case 'acquire': {
        if (fence === null) return state.holder === undefined ? undefined : state
        const before = free(state, returned)
        const granted = BigInt(fence)
        if (before === undefined || granted <= before.newest) return undefined
        return { ...before, holder: granted, newest: granted, until: earliestEnd(invoked, input.ttlMs) }
      }
      default:
        if (!isHeldBy(state, input.fence)) return done ? undefined : state
        return done ? usedBy(state, input, invoked) : free(state, returned)
    }
  },

  guess(state, { input, invoked }: Call<LockInput>) {
    if (input.op === 'read' || input.op === 'write') return undefined
    if (input.op !== 'acquire') return isHeldBy(state, input.fence) ? usedBy(state, input, invoked) : undefined
    const before = free(state, Infinity)
    // The node may take a grant back when its client is gone, so this one may end at any time.
    return before && { ...before, holder: 'unknown', newest: before.newest + 1n, until: 0 }
  },

  fingerprint: ({ holder, newest, until, clock }) => `${String(holder)} ${String(newest)} ${until} ${clock}`,
}
