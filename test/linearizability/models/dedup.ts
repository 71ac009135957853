import type { Answered, Call, Model } from '../operation.js'
import { earliestEnd, lapse, type Timed } from './lease.js'

/** A claim that is not `done` within `staleMs` may be taken over; a result is remembered for `windowMs`. */
export type DedupInput =
  | { readonly op: 'claim'; readonly staleMs: number }
  | { readonly op: 'done'; readonly token: string; readonly result: unknown; readonly windowMs: number }
  | { readonly op: 'abandon'; readonly token: string }

export interface DedupOutput {
  /** Of `claim`: it is the caller's to do, somebody's who is at it, or has this `result`. */
  readonly claim?: 'new' | 'inProgress' | 'done'
  /** Of a new claim. No two are the same. */
  readonly token?: string
  readonly result?: unknown
  /** Of `done` and `abandon`: whether the token was that of the current claim. */
  readonly done?: boolean
}

export interface DedupState extends Timed {
  readonly phase: 'free' | 'claimed' | 'done'
  /** Of the newest claim; `undefined` when it was given in an answer that never came. */
  readonly token: string | undefined
  /** As JSON. */
  readonly result: string | undefined
}

/** The state when there is neither claim nor result at some time up to `latest`. */
function free(state: DedupState, latest: number): DedupState | undefined {
  if (state.phase === 'free') return state
  const lapsed = lapse(state, latest)
  return lapsed && freed(lapsed)
}

function freed(state: DedupState): DedupState {
  return { ...state, phase: 'free', result: undefined, until: 0 }
}

function isClaimedBy(state: DedupState, token: string): boolean {
  return state.phase === 'claimed' && state.token === token
}

/** The state after the holder of the claim said what became of it. */
function settled(state: DedupState, input: DedupInput, invoked: number): DedupState {
  if (input.op !== 'done') return freed(state)
  const until = earliestEnd(invoked, input.windowMs)
  return { ...state, phase: 'done', result: JSON.stringify(input.result), until }
}

/** Two-phase deduplication: one claim at a time, one result in a window. */
export const dedup: Model<DedupInput, DedupOutput, DedupState> = {
  initial: { phase: 'free', token: undefined, result: undefined, until: 0, clock: 0 },

  step(state, { input, output, invoked, returned }: Answered<DedupInput, DedupOutput>) {
    if (returned < state.clock) return undefined
    if (input.op !== 'claim') {
      const { done = false } = output
      if (!isClaimedBy(state, input.token)) return done ? undefined : state
      return done ? settled(state, input, invoked) : free(state, returned)
    }
    if (output.claim === 'inProgress') return state.phase === 'claimed' ? state : undefined
    if (output.claim === 'done') {
      return state.phase === 'done' && state.result === JSON.stringify(output.result) ? state : undefined
    }
    const before = free(state, returned)
    if (before === undefined || output.token === undefined || output.token === before.token) return undefined
    return { ...before, phase: 'claimed', token: output.token, until: earliestEnd(invoked, input.staleMs) }
  },

  guess(state, { input, invoked }: Call<DedupInput>) {
    if (input.op !== 'claim') return isClaimedBy(state, input.token) ? settled(state, input, invoked) : undefined
    const before = free(state, Infinity)
    return before && { ...before, phase: 'claimed', token: undefined, until: earliestEnd(invoked, input.staleMs) }
  },

  fingerprint: ({ phase, token, result, until, clock }) => JSON.stringify([phase, token, result, until, clock]),
}
