/** Limits of an ephemeral stream; `Infinity` switches a limit off. All hold at once, the tightest decides. */
export interface Retention {
  readonly maxEvents: number
  readonly maxStoredBytes: number
  /** Microseconds. */
  readonly maxAgeMicros: number
  /** Age of its first event at which an unfilled block is sealed, microseconds. */
  readonly maxBlockAgeMicros: number
}

/** A permanent stream. */
export const KEEP_EVERYTHING: Retention = {
  maxEvents: Infinity,
  maxStoredBytes: Infinity,
  maxAgeMicros: Infinity,
  maxBlockAgeMicros: Infinity,
}
