import { setImmediate as nextTurn } from 'node:timers/promises'
import type { EventBatch, EventOrder, NodeId, TagSelection } from '../core/index.js'
import { blockKey } from './block.js'
import type { BlockReader } from './block-reader.js'
import type { BlockSummary } from './block-summary.js'
import { CorruptRecordError } from './corrupt-record.js'
import type { Database } from './database.js'
import type { IndexReader, OffsetRange } from './index-reader.js'
import { lineCount, sliceLines, type Lines } from './lines.js'
import { batchOf, selectLines } from './positions.js'
import type { StreamState } from './stream-state.js'
import type { TailBlock } from './tail-block.js'

/** Reading does not keep other work from its turn longer than this, milliseconds. */
const MAX_TURN_MS = 8

export interface StreamReaderParts {
  readonly blocks: Database
  readonly index: IndexReader
  readonly blockReader: BlockReader
  readonly ownNode: NodeId
}

/** Which events of a stream; offsets [from, to). */
export interface StreamReadRequest extends OffsetRange {
  readonly state: StreamState
  readonly selection: TagSelection
  readonly order: EventOrder
  /** Throws when the read must not go on. */
  readonly check: () => void
}

/** Reads one stream: sealed blocks by the index, then the tail in memory, or the other way round. */
export class StreamReader {
  readonly #parts: StreamReaderParts

  constructor(parts: StreamReaderParts) {
    this.#parts = parts
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
    for await (const page of this.#parts.index.pages({ state, selection, from, to, order })) {
      for (const summary of page.blocks) {
        await turns.pause()
        yield* await this.#readBlock(request, summary, order)
      }
    }
  }

  /** Events of a block; none when it is pruned meanwhile. */
  async #readBlock(
    { state, selection, from, to }: StreamReadRequest,
    summary: BlockSummary,
    order: 'asc' | 'desc',
  ): Promise<readonly EventBatch[]> {
    const { blocks, blockReader } = this.#parts
    const source = {
      getMany: (parts: readonly number[]) => blocks.getMany(parts.map((part) => blockKey(summary.arrival, part))),
    }
    try {
      return await blockReader.read({ source, summary, selection, from, to, order })
    } catch (error) {
      const pruned = summary.firstOffset + summary.count <= state.prunedTo
      if (pruned && error instanceof CorruptRecordError && error.missing) return []
      throw error
    }
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

function lost(state: StreamState, from: number): CorruptRecordError {
  const reason = `the events before offset ${String(state.nextOffset)} were acknowledged and are missing or damaged`
  return new CorruptRecordError({ stream: state.stream, offset: from, part: 'tail' }, reason)
}
