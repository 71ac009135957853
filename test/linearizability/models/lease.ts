/** Servers may count in whole milliseconds, so a lease may end this much before its client thinks, µs. */
const ROUNDING_MICROS = 1000

/**
 * When a lease that was asked for at `invoked` ends at the earliest, µs: it cannot have begun before. When it ends at the
 * latest is no matter of safety, and a restart may prolong it.
 */
export function earliestEnd(invoked: number, ttlMs: number | undefined): number {
  return ttlMs === undefined ? Infinity : invoked + ttlMs * 1000 - ROUNDING_MICROS
}

/** Part of the state of objects that forget something when its time is over. */
export interface Timed {
  /** When what is held now ends at the earliest, µs. */
  readonly until: number
  /** It is at least this late, since a lease has ended: nothing that was answered before can come behind, µs. */
  readonly clock: number
}

/** The state as it is when the lease is over; `undefined` when it cannot be over by then. */
export function lapse<State extends Timed>(state: State, latest: number): State | undefined {
  if (latest < state.until || state.until === Infinity) return undefined
  return { ...state, clock: Math.max(state.clock, state.until) }
}
