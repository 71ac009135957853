import { encodeBlock, type EncodedBlock } from './block.js'
import type { BlockSeal } from './block-seal.js'
import type { VerifiedBlock } from './block-transfer.js'
import type { BlockSummary } from './block-summary.js'
import type { Database, WriteStep } from './database.js'
import { encodeGroup, GROUP_SIZE, mergeSummaries } from './group-summary.js'
import type { Identity } from './identity.js'
import type { IndexReader } from './index-reader.js'
import { singleKey } from './keys.js'
import type { FreedBlock, Reclaimer } from './reclaimer.js'
import { encodeSingle } from './single-value.js'
import { encodeStreamRecord, type StreamRecord } from './stream-record.js'
import { recordAfter, type StreamState } from './stream-state.js'
import type { StreamTable } from './stream-table.js'
import type { TailBlock } from './tail-block.js'
import type { TailCompactor } from './tail-compactor.js'

/** Key of the number that the next sealed block gets; blocks from there on in the store of blocks are orphans. */
export const NEXT_ARRIVAL = 'next-arrival'

/** Blocks and bytes of lines sealed with one sync: enough to share its cost, few enough to free memory steadily. */
const MAX_ROUND_BLOCKS = 16
const MAX_ROUND_BYTES = 8 * 1024 * 1024

export interface SealerOptions {
  readonly meta: Database
  readonly blocks: Database
  readonly index: IndexReader
  readonly streams: StreamTable
  readonly reclaimer: Reclaimer
  readonly tails: TailCompactor
  readonly identity: Identity
  readonly topic: string
  readonly nextArrival: number
}

/** A stream and the blocks of it that a round seals. */
interface Work {
  readonly state: StreamState
  readonly blocks: readonly TailBlock[]
}

interface Sealed extends Work {
  readonly summaries: readonly BlockSummary[]
  readonly record: StreamRecord
}

/**
 * Turns complete blocks of the tail into sealed ones, off the way of commits: first the blocks, synced, then one unsynced
 * batch for index and tail. Until that is on disk the tail is still there, so a crash costs an orphan block at most.
 */
export class Sealer {
  readonly #options: SealerOptions
  #nextArrival: number
  /** Blocks of rounds that failed: they may lie in the store of blocks, and no index will ever name them. */
  #abandoned: readonly FreedBlock[] = []
  /**
   * Told of blocks that were sealed, from then on only after their index entries are on disk: a power cut must not undo a block whose
   * signature others hold, since another one might take its place.
   */
  onSealed: ((seals: readonly BlockSeal[]) => void) | undefined

  constructor(options: SealerOptions) {
    this.#options = options
    this.#nextArrival = options.nextArrival
  }

  /** Seals some of what is complete and says how many blocks. Must not run twice at a time. */
  async round(): Promise<number> {
    const work = this.#takeWork()
    const encoded = new Map<TailBlock, EncodedBlock>()
    let arrival = this.#nextArrival
    // With nothing else to seal there is time to deflate better than the tail did.
    const calm = work.length === 1 && work[0]?.blocks.length === 1
    for (const { blocks } of work) {
      for (const block of blocks) encoded.set(block, await this.#encode(block, arrival++, calm))
    }
    if (encoded.size === 0) return 0
    // Numbers are used up now, whatever comes: they must not be written twice with different content.
    this.#nextArrival = arrival
    const abandoned = this.#abandoned
    let sealed: readonly Sealed[]
    try {
      sealed = await this.#write(work, encoded)
    } catch (error) {
      this.#abandon([...encoded.values()])
      throw error
    }
    // The index names them now: whatever goes wrong from here on, they stay.
    this.#settle(sealed, encoded)
    await this.#options.reclaimer.delete(abandoned)
    this.#abandoned = this.#abandoned.slice(abandoned.length)
    return encoded.size
  }

  async #write(work: readonly Work[], encoded: ReadonlyMap<TailBlock, EncodedBlock>): Promise<readonly Sealed[]> {
    await this.#writeBlocks([...encoded.values()])
    const sealed = work.map(({ state, blocks }): Sealed => {
      const summaries = blocks.flatMap((block) => encoded.get(block)?.summary ?? [])
      return { state, blocks, summaries, record: state.recordWith(summaries) }
    })
    await this.#writeIndex(sealed, encoded)
    return sealed
  }

  /** Takes over into the streams what was written. */
  #settle(sealed: readonly Sealed[], encoded: ReadonlyMap<TailBlock, EncodedBlock>): void {
    for (const { state, blocks, record } of sealed) {
      state.sealed(blocks.length, record)
      if (this.onSealed !== undefined) state.syncedOffset = Math.max(state.syncedOffset, record.sealedEnd)
      for (const { storedBytes } of blocks) this.#options.tails.sealed(storedBytes)
    }
    this.onSealed?.(sealsOf(sealed, encoded))
  }

  /**
   * Takes over whole blocks of a replica without a tail that follow each other and what it holds. Durable when it resolves.
   * Must not run beside {@link Sealer.round} or a prune.
   *
   * @param base record that they go on from
   * @param steps what else belongs into the batch
   */
  async adopt(
    state: StreamState,
    base: StreamRecord,
    blocks: readonly VerifiedBlock[],
    steps: readonly WriteStep[],
  ): Promise<StreamRecord> {
    const encoded: EncodedBlock[] = []
    for (const block of blocks) encoded.push(await this.#encodeForeign(block, this.#nextArrival + encoded.length))
    this.#nextArrival += encoded.length
    const summaries = encoded.map(({ summary }) => summary)
    const newest = blocks.at(-1)?.parts.at(-1)?.lines.timestamps.at(-1) ?? 0
    const record = recordAfter(base, summaries, newest)
    try {
      await this.#writeBlocks(encoded)
      const index = encoded.map(({ summary, summaryValue }): WriteStep => {
        return { type: 'put', key: state.keys.at('block', summary.firstOffset), value: summaryValue }
      })
      const groups = await this.#groupSteps(state, summaries)
      const own: WriteStep = { type: 'put', key: state.keys.record, value: encodeStreamRecord(state.stream, record) }
      await this.#options.meta.write([this.#arrivalStep(), ...index, ...groups, own, ...steps], true)
    } catch (error) {
      this.#abandon(encoded)
      throw error
    }
    return record
  }

  /**
   * Puts a block from elsewhere, which has the same events, in place of a sealed one whose values are damaged. Durable when it
   * resolves. Must not run beside {@link Sealer.round} or a prune.
   */
  async replace(state: StreamState, damaged: BlockSummary, block: VerifiedBlock): Promise<void> {
    const { meta, reclaimer } = this.#options
    const encoded = await this.#encodeForeign(block, this.#nextArrival++)
    const growth = encoded.storedBytes - damaged.storedBytes
    const record = () => ({ ...state.record, storedBytes: state.record.storedBytes + growth })
    try {
      await this.#writeBlocks([encoded])
      const steps: WriteStep[] = [
        this.#arrivalStep(),
        { type: 'put', key: state.keys.at('block', damaged.firstOffset), value: encoded.summaryValue },
        { type: 'put', key: state.keys.record, value: encodeStreamRecord(state.stream, record()) },
        ...reclaimer.listSteps([damaged]),
      ]
      await meta.write(steps, true)
    } catch (error) {
      this.#abandon([encoded])
      throw error
    }
    state.record = record()
    state.oldestBlock = undefined
    await reclaimer.delete([damaged])
  }

  #encodeForeign(block: VerifiedBlock, arrival: number): Promise<EncodedBlock> {
    const { previousHash, dictionary, blockSignature } = block
    const parts = block.parts.map((part) => ({ ...part, frames: [] }))
    const sign = () => Promise.resolve(blockSignature)
    return encodeBlock({ topic: this.#options.topic, arrival, previousHash, parts, dictionary, whole: block, sign })
  }

  #abandon(blocks: readonly EncodedBlock[]): void {
    const lost = blocks.map(({ summary, storedBytes }) => ({ arrival: summary.arrival, storedBytes }))
    this.#abandoned = [...this.#abandoned, ...lost]
  }

  #arrivalStep(): WriteStep {
    return { type: 'put', key: singleKey(NEXT_ARRIVAL), value: encodeSingle(NEXT_ARRIVAL, this.#nextArrival) }
  }

  #takeWork(): Work[] {
    const work: Work[] = []
    let count = 0
    let bytes = 0
    for (const state of this.#options.streams.born()) {
      if (state.damaged) continue
      let taken = 0
      for (const block of state.sealable) {
        if (count >= MAX_ROUND_BLOCKS || (count > 0 && bytes + block.lineBytes > MAX_ROUND_BYTES)) break
        bytes += block.lineBytes
        count++
        taken++
      }
      if (taken > 0) work.push({ state, blocks: state.closed.slice(0, taken) })
    }
    return work
  }

  #encode(block: TailBlock, arrival: number, anew: boolean): Promise<EncodedBlock> {
    const { topic, identity } = this.#options
    const parts = anew ? block.parts.map((part) => ({ ...part, frames: [] })) : block.parts
    const { previousHash, dictionary, signature } = block
    const sign = (bytes: Uint8Array) => (signature === undefined ? identity.sign(bytes) : Promise.resolve(signature))
    return encodeBlock({ topic, arrival, previousHash, parts, dictionary, sign })
  }

  async #writeBlocks(blocks: readonly EncodedBlock[]): Promise<void> {
    const steps = blocks.flatMap(({ entries }) =>
      entries.map(({ key, value }): WriteStep => ({ type: 'put', key, value })),
    )
    await this.#options.blocks.write(steps, true)
  }

  async #writeIndex(sealed: readonly Sealed[], encoded: ReadonlyMap<TailBlock, EncodedBlock>): Promise<void> {
    const steps: WriteStep[] = [this.#arrivalStep()]
    steps.push(...this.#options.reclaimer.listSteps(this.#abandoned))
    for (const { state, blocks, summaries, record } of sealed) {
      for (const block of blocks) {
        const { keys } = state
        const value = encoded.get(block)?.summaryValue
        if (value !== undefined) steps.push({ type: 'put', key: keys.at('block', block.firstOffset), value })
      }
      steps.push(...state.tailKeys(blocks).map((key): WriteStep => ({ type: 'del', key })))
      steps.push(...(await this.#groupSteps(state, summaries)))
      steps.push({ type: 'put', key: state.keys.record, value: encodeStreamRecord(state.stream, record) })
    }
    await this.#options.meta.write(steps, this.onSealed !== undefined)
  }

  /** Summaries of the groups that the blocks complete. */
  async #groupSteps(state: StreamState, summaries: readonly BlockSummary[]): Promise<WriteStep[]> {
    let ordinal = state.record.sealedBlocks
    const before = ordinal % GROUP_SIZE
    if (before + summaries.length < GROUP_SIZE) return []
    // After a prune the oldest blocks of the group may be gone; it then stands for those that are left.
    let group = before === 0 ? [] : [...(await this.#options.index.newest(state, before))]
    const steps: WriteStep[] = []
    for (const summary of summaries) {
      group.push(summary)
      if (++ordinal % GROUP_SIZE !== 0) continue
      const merged = mergeSummaries(group)
      steps.push({ type: 'put', key: state.keys.at('group', merged.firstOffset), value: encodeGroup(merged) })
      group = []
    }
    return steps
  }
}

function sealsOf(sealed: readonly Sealed[], encoded: ReadonlyMap<TailBlock, EncodedBlock>): BlockSeal[] {
  return sealed.flatMap(({ blocks }) =>
    blocks.flatMap((block) => {
      const known = encoded.get(block)
      if (known === undefined) return []
      const { stream, firstOffset, count } = known.summary
      return [{ stream, firstOffset, nextOffset: firstOffset + count, signature: known.signature }]
    }),
  )
}
