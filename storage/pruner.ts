import { isPrunedByOwner } from './block-fate.js'
import type { BlockReader } from './block-reader.js'
import type { BlockSummary } from './block-summary.js'
import type { Damages } from './damages.js'
import type { Database, WriteStep } from './database.js'
import type { IndexReader } from './index-reader.js'
import type { Reclaimer } from './reclaimer.js'
import { isEphemeral, PruneCursor, type Retention } from './retention.js'
import { encodeStreamRecord, type StreamRecord } from './stream-record.js'
import type { StreamState } from './stream-state.js'
import { totalsOf } from './stream-survey.js'
import type { TailBlock } from './tail-block.js'

/** Blocks that go in one batch: its size and the time of one step stay small. */
const MAX_BLOCKS_PER_BATCH = 256

export interface PrunerOptions {
  readonly meta: Database
  readonly index: IndexReader
  readonly reclaimer: Reclaimer
  readonly blockReader: BlockReader
  readonly damages: Damages
}

/** What a prune took away. */
export interface Pruned {
  readonly blocks: number
  readonly events: number
  readonly storedBytes: number
}

/** Takes blocks beyond the limits out of their stream: decided by `retention.ts`, carried out here. */
export class Pruner {
  readonly #options: PrunerOptions

  constructor(options: PrunerOptions) {
    this.#options = options
  }

  /** Whether {@link prune} or {@link pruneTail} may find anything: for most streams that needs no look at the index. */
  mayDrop({ damaged, record, prunedByOwner }: StreamState, retain: Retention): boolean {
    return !damaged && (prunedByOwner > record.firstOffset || (isEphemeral(retain) && record.blocks > 0))
  }

  /**
   * Drops what may be dropped of a stream at this moment. Must not run while the stream's blocks are being sealed.
   *
   * @throws CorruptRecordError when the index is damaged; nothing more of the stream is dropped then
   */
  async prune(state: StreamState, retain: Retention, nowMicros: number): Promise<Pruned> {
    const total = { blocks: 0, events: 0, storedBytes: 0 }
    if (!this.mayDrop(state, retain) || state.record.blocks === 0) return total
    for (;;) {
      const prunable = await this.#prunable(state, retain, nowMicros)
      if (prunable.length > 0) await this.#drop(state, prunable)
      for (const { count, storedBytes } of prunable) {
        total.blocks++
        total.events += count
        total.storedBytes += storedBytes
      }
      if (prunable.length < MAX_BLOCKS_PER_BATCH) return total
    }
  }

  /**
   * Drops blocks of a replica's tail that their owner has pruned, the open one too, which is complete or will never be:
   * nobody may have their signatures any more, so they might never be sealed.
   */
  async pruneTail(state: StreamState): Promise<Pruned> {
    const { record, prunedByOwner } = state
    const dropped = state.tail().filter(({ endOffset }) => endOffset <= prunedByOwner)
    const last = dropped.at(-1)
    const isDue = last !== undefined && record.blocks === 0 && state.sealable.length === 0
    const total = { blocks: 0, events: 0, storedBytes: 0 }
    // Commits into its tail go first; there will be another pass.
    if (!isDue || state.busy !== undefined || state.damaged) return total
    state.busy = 'blocks'
    if (last === state.open) state.closeOpen()
    try {
      const after = recordBehind(record, last)
      await this.#options.meta.write(
        [
          ...state.tailKeys(dropped).map((key): WriteStep => ({ type: 'del', key })),
          { type: 'put', key: state.keys.record, value: encodeStreamRecord(state.stream, after) },
        ],
        true,
      )
      state.sealed(dropped.length, after)
    } finally {
      state.busy = undefined
    }
    for (const { events, storedBytes } of dropped) {
      total.blocks++
      total.events += events
      total.storedBytes += storedBytes
    }
    return total
  }

  async #prunable(state: StreamState, retain: Retention, nowMicros: number): Promise<BlockSummary[]> {
    const cursor = new PruneCursor(totalsOf(state), retain, nowMicros)
    const prunable: BlockSummary[] = []
    const mayDrop = (block: BlockSummary) => cursor.mayDrop(block) || isPrunedByOwner(block, state)
    const known = state.oldestBlock
    // Most passes find nothing: then the oldest block alone has to be looked at, and it is remembered.
    if (known?.firstOffset === state.record.firstOffset && !cursor.wouldDrop(known)) {
      if (!isPrunedByOwner(known, state)) return prunable
    }
    for await (const block of this.#options.index.oldest(state)) {
      if (prunable.length === 0) state.oldestBlock = block
      if (prunable.length >= MAX_BLOCKS_PER_BATCH || !mayDrop(block)) break
      prunable.push(block)
    }
    return prunable
  }

  async #drop(state: StreamState, blocks: readonly BlockSummary[]): Promise<void> {
    const { meta, reclaimer, blockReader, damages } = this.#options
    const record = state.recordWithout(blocks)
    const steps: WriteStep[] = [
      ...blocks.map((block): WriteStep => ({ type: 'del', key: state.keys.at('block', block.firstOffset) })),
      ...(await this.#groupSteps(state, record.firstOffset)),
      ...reclaimer.listSteps(blocks),
      { type: 'put', key: state.keys.record, value: encodeStreamRecord(state.stream, record) },
    ]
    // Readers may find the entries gone before this goes on.
    state.pruningTo = record.firstOffset
    try {
      await meta.write(steps, true)
      // As of now: heads that were signed meanwhile say what those before said.
      state.record = state.recordWithout(blocks)
    } finally {
      state.pruningTo = 0
    }
    for (const { stream, firstOffset: offset, arrival } of blocks) {
      blockReader.forget(arrival)
      damages.settle({ stream, offset })
    }
    await reclaimer.delete(blocks)
  }

  /** Groups of which nothing is left. One that reaches beyond stays: it only stands for more than is there. */
  async #groupSteps(state: StreamState, firstOffset: number): Promise<WriteStep[]> {
    const keys = await this.#options.meta.keys({
      gte: state.keys.at('group', 0),
      lte: state.keys.at('group', firstOffset),
      limit: MAX_BLOCKS_PER_BATCH,
    })
    // Where the next group begins, the one before it ends.
    return keys.slice(0, -1).map((key) => ({ type: 'del', key }))
  }
}

/** A record without blocks that a stream goes on behind. */
function recordBehind(record: StreamRecord, { endOffset, hash, parts }: TailBlock): StreamRecord {
  const lines = parts.at(-1)?.lines
  return {
    ...record,
    firstOffset: endOffset,
    sealedEnd: endOffset,
    sealedHash: hash,
    nextLamport: (lines?.lamports.at(-1) ?? 0) + 1,
    newestTimestamp: lines?.timestamps.at(-1) ?? 0,
  }
}
