import type { StreamId } from '../core/index.js'
import type { CutsReport, LimitName } from './streams.js'

/** Which blocks of a stream are wanted. */
export interface BlocksWanted {
  /** `asc`: from the block with this offset on; `desc`: from the one before this offset back. */
  readonly from?: number
  /** 100 by default, 1000 at most. */
  readonly limit?: number
  /** `asc` by default. */
  readonly order?: 'asc' | 'desc'
  readonly signal?: AbortSignal
}

/** What becomes of a block if nothing is published until the next prune; times are µs since 1970. */
export type BlockFate =
  | { readonly goesAt: number; readonly by: LimitName | 'owner' }
  | {
      /** See `docs/api.md`. */
      readonly heldBy: 'inside' | 'notFull' | 'owner' | 'behind' | 'noLimit' | 'clockJump' | 'damage' | 'readOnly'
      readonly limit: LimitName | null
      /** When that ends; `null` where it depends on what is published, or on others. */
      readonly until: number | null
      /** Whether some of its events are beyond a limit already. */
      readonly old: boolean
    }

/** A block, or a hole where blocks should be; times are µs since 1970. */
export interface BlockReport {
  /** `null` in the middle of a stream. */
  readonly number: number | null
  readonly firstOffset: number
  readonly events: number
  readonly storedBytes: number | null
  readonly oldestTimestamp: number | null
  readonly newestTimestamp: number | null
  readonly sealed: boolean
  readonly state: 'ok' | 'damaged' | 'missing'
  /** `null` where it cannot be told. */
  readonly fate: BlockFate | null
}

/** Blocks of a stream, and what becomes of them. */
export interface BlocksReport {
  readonly stream: StreamId
  readonly firstOffset: number
  readonly nextOffset: number
  readonly nextPruneAt: number | null
  readonly decidedBy: LimitName | null
  readonly cuts: CutsReport
  /** In the order that was asked for. */
  readonly blocks: readonly BlockReport[]
  /** Whether there are more behind the last. */
  readonly more: boolean
  /** The block that events go into. */
  readonly open: {
    readonly firstOffset: number
    readonly events: number
    readonly payloadBytes: number
    readonly maxEvents: number
    readonly maxBytes: number
    readonly endsAt: number | null
  } | null
}

/** Tags of stored events. */
export interface TagsReport {
  readonly tags: readonly string[]
  /** Whether there is no other one. */
  readonly complete: boolean
}
