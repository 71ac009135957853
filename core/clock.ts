/** Where time comes from; tests pass their own. */
export interface Clock {
  /** Wall clock: microseconds since 1970-01-01 UTC, an integer. May jump. */
  nowMicros(): number
  /** Never jumps, unrelated to the wall clock. Milliseconds. */
  monotonicMs(): number
}

/** Microseconds by the high-resolution clock, so that events a few µs apart are told apart; follows jumps of `Date`. */
export const systemClock: Clock = {
  nowMicros: () => {
    const millis = Date.now()
    const precise = performance.timeOrigin + performance.now()
    // `precise` does not follow a wall clock that was set; it only adds the fraction while both agree.
    return Math.abs(precise - millis) < 2 ? Math.floor(precise * 1000) : millis * 1000
  },
  monotonicMs: () => performance.now(),
}
