import { parseStreamId, type StreamId } from '../core/index.js'
import { isFull, type BlockLimits } from './block-boundaries.js'
import type { BlockSummary } from './block-summary.js'
import type { ForkProof } from './fork-proof.js'
import { StreamKeys } from './keys.js'
import type { SignedHead } from './signed-head.js'
import { emptyStreamRecord, withEarlierBegin, type StreamRecord } from './stream-record.js'
import { TailBlock, type TailPart } from './tail-block.js'

/** One stream in memory: totals of its sealed blocks and all of its tail. Own and foreign streams are the same thing. */
export class StreamState {
  readonly stream: StreamId
  readonly number: number
  readonly keys: StreamKeys
  /** As it is in `meta`, or will be when the next seal or prune writes it. */
  record: StreamRecord
  /** Complete blocks that wait to be sealed, oldest first. */
  closed: readonly TailBlock[] = []
  open: TailBlock
  /** Offset of the next event. Beyond the tail only when the tail lost acknowledged events. */
  nextOffset: number
  /** Offset after the newest event that is known to be on disk. */
  syncedOffset: number
  /** Lamport after the newest event. */
  nextLamport: number
  newestTimestamp: number
  /** Something of it is missing or unreadable: nothing may be appended. */
  damaged = false
  /** The oldest sealed block as a prune last saw it; outdated when it begins elsewhere than the stream. */
  oldestBlock: BlockSummary | undefined
  /** Offset that a prune under way will leave as the oldest; 0 when there is none. */
  pruningTo = 0
  /** Whether it grows by what its owner has signed, instead of being written here. */
  isReplica = false
  /** Stored signed heads by the first offset of their block: one for each block of the tail, and the newest of all. */
  heads: ReadonlyMap<number, SignedHead> = new Map()
  /** Of a replica: the oldest offset that its owner keeps, by the newest head that was seen. */
  prunedByOwner = 0
  /** Proof that its owner has signed two histories: nothing more is taken from there on. */
  frozen: ForkProof | undefined
  /** What is being written of a replica: commits into its tail, or whole blocks; never both. */
  busy: 'commits' | 'blocks' | undefined

  constructor(stream: StreamId, record: StreamRecord = emptyStreamRecord(stream)) {
    this.stream = stream
    this.number = parseStreamId(stream).number
    this.keys = new StreamKeys(stream)
    this.record = record
    this.open = new TailBlock(record.sealedEnd, record.sealedHash)
    this.nextOffset = record.sealedEnd
    this.syncedOffset = record.sealedEnd
    this.nextLamport = record.nextLamport
    this.newestTimestamp = record.newestTimestamp
  }

  /** Chain after the newest event. */
  get hash(): Buffer {
    return this.open.hash
  }

  /** Below this offset blocks may be gone without being lost. */
  get prunedTo(): number {
    return Math.max(this.record.firstOffset, this.pruningTo)
  }

  /** Offset after the newest event of the tail in memory. */
  get tailEnd(): number {
    return this.open.endOffset
  }

  get tailEvents(): number {
    return this.tailEnd - this.record.sealedEnd
  }

  get tailStoredBytes(): number {
    return this.closed.reduce((sum, block) => sum + block.storedBytes, this.open.storedBytes)
  }

  /** Complete blocks that can be sealed now: those of a replica only with their owner's signature, in order. */
  get sealable(): readonly TailBlock[] {
    if (!this.isReplica) return this.closed
    const unsigned = this.closed.findIndex(({ signature }) => signature === undefined)
    return unsigned < 0 ? this.closed : this.closed.slice(0, unsigned)
  }

  /** Of a replica: the oldest block of the tail that its owner's signature is not known of. */
  unsigned(): TailBlock | undefined {
    return this.tail().find(({ signature }) => signature === undefined)
  }

  /** The stored head that reaches farthest, and of several the one by which most is pruned. */
  get newestHead(): SignedHead | undefined {
    let newest: SignedHead | undefined
    for (const head of this.heads.values()) {
      const { nextOffset, firstOffset } = newest ?? { nextOffset: -1, firstOffset: -1 }
      const isSame = head.nextOffset === nextOffset
      if (head.nextOffset > nextOffset || (isSame && head.firstOffset > firstOffset)) newest = head
    }
    return newest
  }

  /**
   * Whether all that was held is gone, so that the next event may lie inside a block whose begin was dropped: of a block
   * that its owner has pruned, less than all may have arrived.
   */
  get isEmptied(): boolean {
    const { blocks, firstOffset, sealedEnd } = this.record
    return blocks === 0 && firstOffset === sealedEnd && this.tailEvents === 0 && sealedEnd > 0
  }

  /** Whether it is frozen and has come to where its histories part: what lies before is the same in both. */
  get isStopped(): boolean {
    return this.frozen !== undefined && this.nextOffset >= this.frozen.offset
  }

  /** Whether no event was ever stored in it. */
  get isUnborn(): boolean {
    return this.nextOffset === 0
  }

  /** Unsealed blocks, oldest first; none empty. */
  tail(): readonly TailBlock[] {
    return this.open.events === 0 ? this.closed : [...this.closed, this.open]
  }

  /** Time of an unsealed event, µs since 1970. */
  timestampInTail(offset: number): number | undefined {
    const block = this.tail().find(({ endOffset }) => offset < endOffset)
    const part = block?.parts.find(({ lines }) => offset < lines.firstOffset + lines.timestamps.length)
    return part?.lines.timestamps[offset - part.lines.firstOffset]
  }

  /** Keys of what is stored of blocks of the tail, but for heads. */
  tailKeys(blocks: readonly TailBlock[]): Buffer[] {
    return blocks.flatMap(({ parts, firstOffset, isSealStored }) => {
      const keys = parts.map(({ lines }) => this.keys.at('tail', lines.firstOffset))
      return isSealStored ? [...keys, this.keys.at('seal', firstOffset)] : keys
    })
  }

  /** The signature of the block of the tail that begins here has a record of its own. */
  noteStoredSeal(firstOffset: number): void {
    const block = this.tail().find((each) => each.firstOffset === firstOffset)
    if (block !== undefined) block.isSealStored = true
  }

  /** Takes over a durable commit part. Returns whether that completed a block. */
  add(part: TailPart, beginsBlock: boolean, limits: BlockLimits): boolean {
    const closedBefore = this.restore(part, beginsBlock)
    const closedAfter = this.closeFull(limits)
    return closedBefore || closedAfter
  }

  /** As {@link add} for a part read back, whose block was cut by the limits of its time. */
  restore(part: TailPart, beginsBlock: boolean): boolean {
    const { lines } = part
    const closedBefore = beginsBlock && this.closeOpen()
    this.open.add(part)
    this.nextOffset = Math.max(this.nextOffset, this.open.endOffset)
    this.nextLamport = (lines.lamports.at(-1) ?? 0) + 1
    this.newestTimestamp = lines.timestamps.at(-1) ?? this.newestTimestamp
    return closedBefore
  }

  /** Ends the open block if nothing more goes into it. */
  closeFull(limits: BlockLimits): boolean {
    return isFull(this.open, limits) && this.closeOpen()
  }

  /** Ends the open block, if there is anything in it. */
  closeOpen(): boolean {
    if (this.open.events === 0) return false
    this.closed = [...this.closed, this.open]
    this.open = new TailBlock(this.open.endOffset, this.open.hash)
    return true
  }

  /** The record after the oldest closed blocks became these sealed ones. */
  recordWith(sealed: readonly BlockSummary[]): StreamRecord {
    const newestTimestamp = this.closed[sealed.length - 1]?.parts.at(-1)?.lines.timestamps.at(-1) ?? 0
    return recordAfter(this.record, sealed, newestTimestamp)
  }

  /** Begins anew behind a record, without a tail: blocks were taken over whole, or what the tail was is given up. */
  restart(record: StreamRecord): void {
    this.record = record
    this.closed = []
    this.open = new TailBlock(record.sealedEnd, record.sealedHash)
    this.nextOffset = record.sealedEnd
    this.syncedOffset = record.sealedEnd
    this.nextLamport = record.nextLamport
    this.newestTimestamp = record.newestTimestamp
  }

  /** The record after these oldest sealed blocks were dropped. */
  recordWithout(dropped: readonly BlockSummary[]): StreamRecord {
    const last = dropped.at(-1)
    if (last === undefined) return this.record
    return {
      ...this.record,
      firstOffset: last.firstOffset + last.count,
      earlierBegins: this.isReplica ? [] : withEarlierBegin(this.record, this.tailEnd),
      blocks: this.record.blocks - dropped.length,
      storedBytes: dropped.reduce((sum, block) => sum - block.storedBytes, this.record.storedBytes),
    }
  }

  /** Takes over record and tail of the same stream as it was read from disk, of which less was sealed. */
  goBackTo({ record, closed, open }: StreamState): void {
    this.record = record
    this.closed = closed
    this.open = open
    if (this.isReplica) this.nextOffset = open.endOffset
  }

  /** Lets go of closed blocks that are sealed now. */
  sealed(blocks: number, record: StreamRecord): void {
    this.record = record
    this.closed = this.closed.slice(blocks)
  }
}

/** A record after more blocks were sealed. */
export function recordAfter(
  record: StreamRecord,
  sealed: readonly BlockSummary[],
  newestTimestamp: number,
): StreamRecord {
  const last = sealed.at(-1)
  if (last === undefined) return record
  return {
    ...record,
    sealedEnd: last.firstOffset + last.count,
    sealedHash: last.hash,
    blocks: record.blocks + sealed.length,
    sealedBlocks: record.sealedBlocks + sealed.length,
    storedBytes: sealed.reduce((sum, block) => sum + block.storedBytes, record.storedBytes),
    nextLamport: last.lastLamport + 1,
    newestTimestamp,
  }
}
