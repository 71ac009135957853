import { LIMITS, PruneCursor, type LimitName, type PrunableBlock, type Retention, type Totals } from './retention.js'

/** What retention looks at in a block, sealed or not. */
export interface PicturedBlock extends PrunableBlock {
  readonly firstOffset: number
  readonly minTimestamp: number
}

/** How a block stands in its stream. */
export interface BlockStand {
  /** `signed`: it will be sealed before the next prune; `unsigned`: its owner has not signed it; `open`: it is being filled. */
  readonly stage: 'sealed' | 'signed' | 'unsigned' | 'open'
  /** When it is ended although it is not full, µs since 1970; `Infinity` for never, and for blocks that are not open. */
  readonly endsMicros: number
}

/** What decides about the blocks of a stream. */
export interface FateRules {
  readonly retain: Retention
  /** When the next prune comes, µs since 1970: what is said is said of that moment. */
  readonly pruneMicros: number
  /** Whether another node writes the stream. */
  readonly isReplica: boolean
  /** Of a replica: the oldest offset that its owner keeps. */
  readonly prunedByOwner: number
  /** What keeps every prune from taking anything. */
  readonly stopped: 'damage' | 'readOnly' | undefined
  /** Whether pruning by age waits because the wall clock jumped. */
  readonly clockJumped: boolean
}

/**
 * Why a block stays: `inside` (an event of it is within every limit), `notFull` (it is beyond, but still being filled),
 * `owner` (the node that writes it keeps it, or has not signed it), `behind` (it is beyond, but an older block stays, and
 * streams have no holes), `noLimit`, `clockJump`, `damage`, `readOnly`.
 */
export const HOLDERS = ['inside', 'notFull', 'owner', 'behind', 'noLimit', 'clockJump', 'damage', 'readOnly'] as const

/** What keeps a block. */
export type Holder = (typeof HOLDERS)[number]

/** What becomes of a block at the next prune, if nothing is published until then. */
export type BlockFate =
  | { readonly kind: 'goes'; readonly by: LimitName | 'owner' }
  | {
      readonly kind: 'held'
      readonly by: Holder
      /** The limit that decides; `undefined` where none does. */
      readonly limit: LimitName | undefined
      /** Until when it is held by that, µs since 1970; `undefined` where that depends on what is published, or on others. */
      readonly untilMicros: number | undefined
      /** Whether some of its events lie beyond a limit already. */
      readonly isOld: boolean
    }

/** A place in a stream: what lies before it is beyond a limit. */
export interface Cut {
  readonly offset: number
  /** µs since 1970. */
  readonly timestamp: number
}

/**
 * Goes through the blocks of a stream from the oldest on, the unsealed ones too, and says of each what becomes of it. By
 * the same decision the pruner takes blocks away.
 */
export class FateCursor {
  readonly #rules: FateRules
  readonly #cursor: PruneCursor
  readonly #decisive: LimitName | undefined
  readonly #cuts: Cuts
  /** Offset after the newest event. */
  readonly #end: number
  #holds = false

  /** @param deciding which of the limits cuts nearest to now, and where all of them do */
  constructor(total: Totals & { readonly end: number }, rules: FateRules, { limit, cuts }: Deciding) {
    this.#rules = rules
    this.#cursor = new PruneCursor(total, effectiveRetention(rules), rules.pruneMicros)
    this.#decisive = limit
    this.#cuts = cuts
    this.#end = total.end
  }

  /** What becomes of the next oldest block. */
  next(block: PicturedBlock, stand: BlockStand): BlockFate {
    const by = this.#reasonToGo(block)
    this.#cursor.mayDrop(block)
    const goes = by !== undefined && !this.#holds && this.#rules.stopped === undefined && !isUnready(stand, by)
    if (goes) return { kind: 'goes', by }
    const fate = this.#held(block, stand, by)
    this.#holds = true
    return fate
  }

  /**
   * Passes over blocks behind one that stays, up to the one that begins here. Those that follow are within `maxSize`, as
   * the first that stays was.
   */
  skipTo(firstOffset: number): void {
    if (this.#holds) this.#cursor.skipTo(this.#end - firstOffset)
  }

  #reasonToGo(block: PicturedBlock): LimitName | 'owner' | undefined {
    return this.#cursor.limitBehind(block) ?? (isPrunedByOwner(block, this.#rules) ? 'owner' : undefined)
  }

  #held(block: PicturedBlock, stand: BlockStand, wouldGoBy: LimitName | 'owner' | undefined): BlockFate {
    const { retain, stopped, isReplica } = this.#rules
    const isOld = LIMITS.some((limit) => (this.#cuts[limit]?.offset ?? 0) > block.firstOffset)
    const held = (by: Holder, limit: LimitName | undefined, untilMicros?: number): BlockFate => ({
      kind: 'held',
      by,
      limit,
      untilMicros,
      isOld,
    })
    const beyond = wouldGoBy === 'owner' ? undefined : wouldGoBy
    if (stopped !== undefined) return held(stopped, beyond)
    if (wouldGoBy !== undefined) {
      if (this.#holds) return held('behind', beyond)
      if (stand.stage === 'unsigned') return held('owner', beyond)
      return held('notFull', beyond, finite(stand.endsMicros))
    }
    if (this.#decisive === undefined) return held(isReplica ? 'owner' : 'noLimit', undefined)
    const leavesMicros = block.maxTimestamp + retain.maxAgeMicros
    if (leavesMicros < this.#rules.pruneMicros) return held('clockJump', 'maxAge')
    const until = this.#decisive === 'maxAge' ? leavesMicros : undefined
    return held('inside', this.#decisive, until)
  }
}

/** Retention as it holds while ages cannot be trusted, or at all other times. */
export function effectiveRetention({ retain, clockJumped }: Pick<FateRules, 'retain' | 'clockJumped'>): Retention {
  return clockJumped ? { ...retain, maxAgeMicros: Infinity } : retain
}

/** Whether the node that writes a stream has taken the block away. */
export function isPrunedByOwner(
  { firstOffset, count }: Pick<PicturedBlock, 'firstOffset' | 'count'>,
  { prunedByOwner }: Pick<FateRules, 'prunedByOwner'>,
): boolean {
  return firstOffset + count <= prunedByOwner
}

/** Where each limit cuts a stream; `undefined` where there is no such limit, or all is within it. */
export type Cuts = Readonly<Record<LimitName, Cut | undefined>>

/**
 * Where the limits cut. `maxEvents` is exact in the offset, `maxAge` in the time; the other of the two lies in a block
 * whose ends alone are known, and is found as if its events came evenly. So are both of `maxSize`.
 */
export class CutFinder {
  readonly #retain: Retention
  readonly #nowMicros: number
  #events: number
  #storedBytes: number
  readonly #cuts: Record<LimitName, Cut | undefined> = { maxEvents: undefined, maxSize: undefined, maxAge: undefined }
  readonly #open: Set<LimitName>

  constructor(total: Totals, retain: Retention, nowMicros: number) {
    this.#retain = retain
    this.#nowMicros = nowMicros
    this.#events = total.events
    this.#storedBytes = total.storedBytes
    this.#open = new Set(limitsOf(retain))
  }

  /** Whether later blocks can change nothing. */
  get isDone(): boolean {
    return this.#open.size === 0
  }

  /** Takes the next oldest block into account. */
  add(block: PicturedBlock): void {
    const { maxEvents, maxStoredBytes, maxAgeMicros } = this.#retain
    const ageMicros = this.#nowMicros - maxAgeMicros
    if (this.#open.has('maxEvents')) this.#note('maxEvents', block, this.#events - maxEvents, block.count)
    if (this.#open.has('maxSize')) this.#note('maxSize', block, this.#storedBytes - maxStoredBytes, block.storedBytes)
    if (this.#open.has('maxAge')) {
      // The events that are exactly as old as the limit are within it.
      const span = block.maxTimestamp - block.minTimestamp + 1
      this.#note('maxAge', block, ageMicros - block.minTimestamp, span)
    }
    this.#events -= block.count
    this.#storedBytes -= block.storedBytes
  }

  get cuts(): Cuts {
    return this.#cuts
  }

  /** @param excess how much of what the limit counts lies beyond it from this block on, of `whole` in the block */
  #note(limit: LimitName, block: PicturedBlock, excess: number, whole: number): void {
    if (excess <= 0) {
      this.#open.delete(limit)
      return
    }
    const share = Math.min(1, excess / whole)
    const { firstOffset, count, minTimestamp, maxTimestamp } = block
    const offset = firstOffset + Math.floor(share * count)
    const timestamp = Math.round(minTimestamp + share * (maxTimestamp - minTimestamp))
    this.#cuts[limit] = {
      offset,
      timestamp: limit === 'maxAge' ? this.#nowMicros - this.#retain.maxAgeMicros : timestamp,
    }
    if (share < 1) this.#open.delete(limit)
  }
}

function limitsOf({ maxEvents, maxStoredBytes, maxAgeMicros }: Retention): readonly LimitName[] {
  const values = { maxEvents, maxSize: maxStoredBytes, maxAge: maxAgeMicros }
  return LIMITS.filter((limit) => values[limit] !== Infinity)
}

/** Where the limits of a stream cut, and which of them does nearest to now. */
export interface Deciding {
  /** `undefined` where there is no limit. */
  readonly limit: LimitName | undefined
  readonly cuts: Cuts
}

/** The limit that cuts nearest to now; where none cuts yet, the one that is used up most. */
export function decisiveLimit(
  retain: Retention,
  cuts: Cuts,
  { events, storedBytes }: Totals,
  ageMicros: number,
): LimitName | undefined {
  const used = {
    maxEvents: events / retain.maxEvents,
    maxSize: storedBytes / retain.maxStoredBytes,
    maxAge: ageMicros / retain.maxAgeMicros,
  }
  const offsetOf = (limit: LimitName): number => cuts[limit]?.offset ?? -1
  return limitsOf(retain).toSorted((a, b) => offsetOf(b) - offsetOf(a) || used[b] - used[a])[0]
}

/** A block that is still being filled, or lacks its owner's signature, goes only where its owner has pruned it. */
function isUnready({ stage }: BlockStand, by: LimitName | 'owner'): boolean {
  return (stage === 'open' || stage === 'unsigned') && by !== 'owner'
}

function finite(micros: number): number | undefined {
  return Number.isFinite(micros) ? micros : undefined
}
