import { setImmediate as nextTurn } from 'node:timers/promises'
import type { EventBatch, EventOrder, NodeId, TagSelection } from '../core/index.js'
import { blockKey, damageOfBlock } from './block.js'
import type { BlockReader, BlockSource } from './block-reader.js'
import type { BlockSummary } from './block-summary.js'
import { CorruptRecordError } from './corrupt-record.js'
import type { Database } from './database.js'
import type { IndexPage, IndexReader, OffsetRange } from './index-reader.js'
import { Gate } from './gate.js'
import { lineCount, sliceLines, type Lines } from './lines.js'
import { pipeline } from './pipeline.js'
import { batchOf, selectLines } from './positions.js'
import { StoreCorruptError } from './store-errors.js'
import type { StreamState } from './stream-state.js'
import type { TailBlock } from './tail-block.js'

/** Reading does not keep other work from its turn longer than this, milliseconds. */
const MAX_TURN_MS = 2

/** Blocks of a stream read at the same time, so that waits for disk and inflating overlap. */
const READ_DEPTH = 4

/**
 * Blocks of all reads under way while somebody publishes: inflating for scans must take neither all threads of libuv, of
 * which the write of a commit needs one, nor all processors.
 */
const MAX_READS_BESIDE_COMMITS = 2

/** Streams in one merge beyond which their blocks are read one at a time, and beyond which they are read in steps. */
const SOME_STREAMS = 8
const MANY_STREAMS = 32

/** Lines in memory for a merge of many streams, and at least for each of them, bytes. */
const MERGE_BYTES = 16 * 1024 * 1024
const MIN_STEP_BYTES = 32 * 1024

export interface StreamReaderParts {
  readonly blocks: Database
  readonly index: IndexReader
  readonly blockReader: BlockReader
  readonly ownNode: NodeId
  /** Whether there were commits just now, so that more are to be expected. */
  readonly isPublishing: () => boolean
}

/** Which events of a stream; offsets [from, to). */
export interface StreamReadRequest extends OffsetRange {
  readonly state: StreamState
  readonly selection: TagSelection
  readonly order: EventOrder
  /** Streams read at the same time: the more, the less of each is in memory. */
  readonly streams: number
  /** Throws when the read must not go on. */
  readonly check: () => void
}

/** Reads one stream: sealed blocks by the index, then the tail in memory, or the other way round. */
export class StreamReader {
  readonly #parts: StreamReaderParts
  readonly #reads: Gate

  constructor(parts: StreamReaderParts) {
    this.#parts = parts
    this.#reads = new Gate(() => (parts.isPublishing() ? MAX_READS_BESIDE_COMMITS : Infinity))
  }

  /**
   * Sees the stream as it is when the first batch is asked for.
   *
   * @throws CorruptRecordError for events that should be there and are not
   */
  async *read(request: StreamReadRequest): AsyncGenerator<EventBatch> {
    const { state } = request
    const from = Math.max(request.from, state.record.firstOffset)
    const to = Math.min(request.to, state.nextOffset)
    if (from >= to || request.selection.kind === 'none') return
    const { sealedEnd } = state.record
    const sealed = { ...request, from, to: Math.min(to, sealedEnd) }
    const tail = { ...request, from: Math.max(from, sealedEnd), to }
    const unsealed = state.tail()
    const lostFrom = Math.max(tail.from, state.tailEnd)
    const turns = new Turns(request.check)
    if (request.order === 'desc') {
      if (lostFrom < to) throw lost(state, lostFrom)
      yield* this.#readTail(unsealed, tail, turns)
      yield* this.#readBlocks(sealed, turns)
    } else {
      yield* this.#readBlocks(sealed, turns)
      yield* this.#readTail(unsealed, tail, turns)
      if (lostFrom < to) throw lost(state, lostFrom)
    }
  }

  async *#readBlocks(request: StreamReadRequest, turns: Turns): AsyncGenerator<EventBatch> {
    const { state, selection, from, to } = request
    const order = request.order === 'desc' ? 'desc' : 'asc'
    const summaries = blocksOf(this.#parts.index.pages({ state, selection, from, to, order }))
    if (request.streams > MANY_STREAMS) {
      const stepBytes = Math.max(MIN_STEP_BYTES, MERGE_BYTES / request.streams)
      for await (const summary of summaries) yield* this.#readInSteps(request, summary, order, stepBytes)
      return
    }
    const depth = request.streams > SOME_STREAMS ? 1 : READ_DEPTH
    for await (const batch of pipeline(summaries, depth, (summary) => this.#readBlock(request, summary, order))) {
      await turns.pause()
      if (batch !== undefined) yield batch
    }
  }

  /** As {@link #readBlock}, a little at a time. */
  async *#readInSteps(
    { state, selection, from, to }: StreamReadRequest,
    summary: BlockSummary,
    order: 'asc' | 'desc',
    stepBytes: number,
  ): AsyncGenerator<EventBatch> {
    const source = this.#sourceOf(summary)
    try {
      yield* this.#parts.blockReader.readInSteps({ source, summary, selection, from, to, order }, stepBytes)
    } catch (error) {
      if (!isPruned(state, summary, error)) throw damageOfBlock(summary, error)
    }
  }

  /** Events of a block; nothing when it is pruned meanwhile. */
  async #readBlock(
    { state, selection, from, to }: StreamReadRequest,
    summary: BlockSummary,
    order: 'asc' | 'desc',
  ): Promise<EventBatch | undefined> {
    const source = this.#sourceOf(summary)
    try {
      return await this.#reads.run(() => this.#parts.blockReader.read({ source, summary, selection, from, to, order }))
    } catch (error) {
      if (!isPruned(state, summary, error)) throw damageOfBlock(summary, error)
      return undefined
    }
  }

  #sourceOf({ arrival }: BlockSummary): BlockSource {
    const { blocks } = this.#parts
    return { getMany: (parts) => blocks.getMany(parts.map((part) => blockKey(arrival, part))) }
  }

  async *#readTail(
    unsealed: readonly TailBlock[],
    request: StreamReadRequest,
    turns: Turns,
  ): AsyncGenerator<EventBatch> {
    const pieces = unsealed
      .filter((block) => block.firstOffset < request.to && block.endOffset > request.from)
      .flatMap((block) => block.views())
    for (const lines of request.order === 'desc' ? pieces.toReversed() : pieces) {
      await turns.pause()
      const batch = this.#selectTail(lines, request)
      if (batch !== undefined) yield batch
    }
  }

  #selectTail(lines: Lines, { from, to, selection, order }: StreamReadRequest): EventBatch | undefined {
    const first = Math.max(0, from - lines.firstOffset)
    const end = Math.min(lineCount(lines), to - lines.firstOffset)
    if (first >= end) return undefined
    const wanted = sliceLines(lines, first, end)
    const chosen = selectLines(wanted, selection, this.#parts.ownNode)
    return batchOf(wanted, chosen, order === 'desc' ? 'desc' : 'asc')
  }
}

/** Lets other work have its turn while batches come out of memory. */
class Turns {
  readonly #check: () => void
  #began = performance.now()

  constructor(check: () => void) {
    this.#check = check
  }

  async pause(): Promise<void> {
    this.#check()
    if (performance.now() - this.#began < MAX_TURN_MS) return
    await nextTurn()
    this.#began = performance.now()
  }
}

async function* blocksOf(pages: AsyncIterable<IndexPage>): AsyncGenerator<BlockSummary> {
  for await (const { blocks } of pages) yield* blocks
}

/** Whether a block could not be read because it was pruned under the read. */
function isPruned(state: StreamState, summary: BlockSummary, error: unknown): boolean {
  if (summary.firstOffset + summary.count > state.prunedTo) return false
  return error instanceof StoreCorruptError || (error instanceof CorruptRecordError && error.missing)
}

function lost(state: StreamState, from: number): CorruptRecordError {
  const reason = `the events before offset ${String(state.nextOffset)} were acknowledged and are missing or damaged`
  return new CorruptRecordError({ stream: state.stream, offset: from, part: 'tail' }, reason)
}
