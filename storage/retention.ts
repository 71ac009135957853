import type { EventsSummary } from './block-summary.js'

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

/** Of a whole stream, unsealed events included. */
export interface Totals {
  readonly events: number
  /** Frames, index and header: what `maxStoredBytes` limits. */
  readonly storedBytes: number
}

/** What retention looks at in a sealed block. */
export type PrunableBlock = Pick<EventsSummary, 'count' | 'storedBytes' | 'maxTimestamp'>

/** The limits by which blocks go. */
export const LIMITS = ['maxEvents', 'maxSize', 'maxAge'] as const

/** One of them. */
export type LimitName = (typeof LIMITS)[number]

/** Goes through sealed blocks from the oldest on and says of each whether it may be deleted. */
export class PruneCursor {
  readonly #retain: Retention
  readonly #nowMicros: number
  #events: number
  #storedBytes: number

  constructor(total: Totals, retain: Retention, nowMicros: number) {
    this.#retain = retain
    this.#nowMicros = nowMicros
    this.#events = total.events
    this.#storedBytes = total.storedBytes
  }

  /** Whether the next oldest block may go. After a `false` no later block may: streams have no holes. */
  mayDrop(block: PrunableBlock): boolean {
    const may = this.wouldDrop(block)
    this.#events -= block.count
    this.#storedBytes -= block.storedBytes
    return may
  }

  /** Goes on where so many events are left, all of them within `maxStoredBytes`. */
  skipTo(events: number): void {
    this.#events = events
    this.#storedBytes = 0
  }

  /** As {@link PruneCursor.mayDrop}, without going on to the next block. */
  wouldDrop(block: PrunableBlock): boolean {
    return this.limitBehind(block) !== undefined
  }

  /** A limit that the next oldest block lies beyond with all its events, if there is one. */
  limitBehind({ count, storedBytes, maxTimestamp }: PrunableBlock): LimitName | undefined {
    const { maxAgeMicros, maxEvents, maxStoredBytes } = this.#retain
    if (maxTimestamp < this.#nowMicros - maxAgeMicros) return 'maxAge'
    if (this.#events - count >= maxEvents) return 'maxEvents'
    return this.#storedBytes - storedBytes >= maxStoredBytes ? 'maxSize' : undefined
  }
}

/**
 * How many of the oldest sealed blocks may be deleted at `nowMicros`.
 *
 * A block may go only when all its events lie outside at least one limit, so a stream can hold up to one block more than
 * a limit says. Only a prefix is ever returned: streams have no holes. `Infinity` switches a limit off.
 *
 * @param sealed oldest first, without the open block
 */
export function countPrunable(
  sealed: Iterable<PrunableBlock>,
  total: Totals,
  retain: Retention,
  nowMicros: number,
): number {
  const cursor = new PruneCursor(total, retain, nowMicros)
  let prunable = 0
  for (const block of sealed) {
    if (!cursor.mayDrop(block)) break
    prunable += 1
  }
  return prunable
}

/** Whether any limit can ever delete something. */
export function isEphemeral(retain: Retention): boolean {
  return retain.maxEvents !== Infinity || retain.maxStoredBytes !== Infinity || retain.maxAgeMicros !== Infinity
}
