import type { StreamId } from '../core/index.js'

/** Limits of a stream; `null` is none. */
export interface Limits {
  readonly maxEvents: number | null
  readonly maxStoredBytes: number | null
  readonly maxAgeMicros: number | null
  readonly maxBlockAgeMicros: number | null
}

/** A stream as operators see it; `null` is "no limit" or "unknown". */
export interface StreamReport {
  readonly stream: StreamId
  readonly name: string | null
  readonly number: number
  readonly own: boolean
  readonly events: number
  /** Oldest offset that can be read; `nextOffset` when there is none. */
  readonly firstOffset: number
  readonly nextOffset: number
  readonly blocks: number
  readonly tailEvents: number
  readonly storedBytes: number
  /** Microseconds since 1970, as the next. */
  readonly oldestTimestamp: number | null
  readonly newestTimestamp: number | null
  readonly retention: Limits
  readonly nextPrune: {
    readonly blocks: number
    readonly events: number
    readonly storedBytes: number
    readonly heldBackBy: 'no-limit' | 'unsealed' | 'within-limits' | 'clock-jump' | 'owner' | 'damage' | 'read-only'
  }
  /** When blocks go next, at the latest, µs since 1970; `null` while the node takes no writes. */
  readonly nextPruneAt: number | null
  /** The limit that cuts nearest to now. */
  readonly decidedBy: LimitName | null
  readonly cuts: CutsReport
}

/** The limits by which blocks go. */
export type LimitName = 'maxEvents' | 'maxSize' | 'maxAge'

/** Where each limit cuts: what lies before is beyond it. Times are µs since 1970; `null`: everything is within. */
export type CutsReport = Readonly<Record<LimitName, { readonly offset: number; readonly time: number } | null>>
