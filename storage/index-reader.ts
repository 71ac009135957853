import type { NodeId, TagSelection } from '../core/index.js'
import { decodeSummary, type BlockSummary } from './block-summary.js'
import { CorruptRecordError } from './corrupt-record.js'
import type { Database } from './database.js'
import { decodeGroup, type GroupSummary } from './group-summary.js'
import { offsetOfKey } from './keys.js'
import { mayMatch } from './skip.js'
import type { StreamState } from './stream-state.js'

/** Index entries read at once. */
const PAGE_ENTRIES = 64

/** Group summaries read at once; each stands for 64 blocks. */
const PAGE_GROUPS = 16

/** Offsets [from, to). */
export interface OffsetRange {
  readonly from: number
  readonly to: number
}

/** What part of a stream's index is looked at. */
export interface IndexRequest extends OffsetRange {
  readonly state: StreamState
  readonly selection: TagSelection
  readonly order: 'asc' | 'desc'
}

/** A stretch of the index: to be read, or to be skipped as its group shows. */
interface Span extends OffsetRange {
  readonly skippedBlocks: number
}

/** Blocks of a page that may hold matching events, and how many were passed over since the last page. */
export interface IndexPage {
  readonly blocks: readonly BlockSummary[]
  readonly skipped: number
}

/** A sealed block as the index knows it; `undefined` where its entry is damaged. */
export interface IndexEntry {
  readonly firstOffset: number
  readonly block: BlockSummary | undefined
}

/** Finds sealed blocks by the index in `meta`, a page at a time, skipping whole groups where it can. */
export class IndexReader {
  readonly #meta: Database
  readonly #ownNode: NodeId

  constructor(meta: Database, ownNode: NodeId) {
    this.#meta = meta
    this.#ownNode = ownNode
  }

  /**
   * The blocks that overlap [from, to), which must all be sealed, and may match. Blocks that are pruned meanwhile are
   * left out; others that are missing are an error.
   *
   * @throws CorruptRecordError
   */
  async *pages(request: IndexRequest): AsyncGenerator<IndexPage> {
    const { from, to, order, selection } = request
    if (from >= to || selection.kind === 'none') return
    if (selection.kind === 'all') {
      yield* this.#scan(request, { from, to })
      return
    }
    for await (const span of order === 'asc' ? this.#spansUp(request) : this.#spansDown(request)) {
      if (span.skippedBlocks > 0) yield { blocks: [], skipped: span.skippedBlocks }
      else if (span.from < span.to) yield* this.#scan(request, span)
    }
  }

  /** The oldest blocks, from the first one that was not pruned. */
  async *oldest(state: StreamState): AsyncGenerator<BlockSummary> {
    const { firstOffset: from, sealedEnd: to } = state.record
    for await (const page of this.pages({ state, from, to, order: 'asc', selection: { kind: 'all' } })) {
      yield* page.blocks
    }
  }

  /** Entries of blocks that reach into [from, to), in order; a damaged one has no block, a lost one is left out. */
  async *entries(state: StreamState, { from, to }: OffsetRange, order: 'asc' | 'desc'): AsyncGenerator<IndexEntry> {
    const first = (await this.#floor(state, 'block', from)) ?? from
    for await (const page of this.#entries(state, 'block', { from: first, to }, order, PAGE_ENTRIES)) {
      for (const [key, value] of page) yield openEntry(state, key, value)
    }
  }

  /** The newest blocks, at most `limit`, ascending. */
  async newest(state: StreamState, limit: number): Promise<readonly BlockSummary[]> {
    const entries = await this.#meta.page({
      gte: state.keys.at('block', state.record.firstOffset),
      lt: state.keys.at('block', state.record.sealedEnd),
      reverse: true,
      limit,
    })
    return entries.map(([key, value]) => decodeSummary(state.stream, offsetOfKey(key), value)).reverse()
  }

  async *#spansUp({ state, from, to, selection }: IndexRequest): AsyncGenerator<Span> {
    let cursor = from
    for await (const group of this.#groups(state, { from, to }, 'asc')) {
      const end = group.firstOffset + group.count
      if (end <= cursor) continue
      if (group.firstOffset > cursor) yield { from: cursor, to: group.firstOffset, skippedBlocks: 0 }
      if (mayMatch(group, selection, this.#ownNode)) {
        yield { from: Math.max(cursor, group.firstOffset), to: Math.min(end, to), skippedBlocks: 0 }
      } else {
        yield { from: cursor, to: end, skippedBlocks: group.blocks }
      }
      cursor = end
    }
    yield { from: cursor, to, skippedBlocks: 0 }
  }

  async *#spansDown({ state, from, to, selection }: IndexRequest): AsyncGenerator<Span> {
    let cursor = to
    for await (const group of this.#groups(state, { from, to }, 'desc')) {
      const end = group.firstOffset + group.count
      if (group.firstOffset >= cursor) continue
      if (end < cursor) yield { from: end, to: cursor, skippedBlocks: 0 }
      if (mayMatch(group, selection, this.#ownNode)) {
        yield { from: Math.max(from, group.firstOffset), to: Math.min(end, cursor), skippedBlocks: 0 }
      } else {
        yield { from: group.firstOffset, to: cursor, skippedBlocks: group.blocks }
      }
      cursor = group.firstOffset
    }
    yield { from, to: cursor, skippedBlocks: 0 }
  }

  /** Groups that overlap the range, in order. */
  async *#groups(state: StreamState, range: OffsetRange, order: 'asc' | 'desc'): AsyncGenerator<GroupSummary> {
    const first = await this.#floor(state, 'group', range.from)
    const bounds = { from: first ?? range.from, to: range.to }
    for await (const page of this.#entries(state, 'group', bounds, order, PAGE_GROUPS)) {
      for (const [key, value] of page) {
        const group = openGroup(state, key, value)
        if (group !== undefined && group.firstOffset + group.count > range.from) yield group
      }
    }
  }

  async *#scan(request: IndexRequest, span: OffsetRange): AsyncGenerator<IndexPage> {
    const { state, order, selection } = request
    const first = (await this.#floor(state, 'block', span.from)) ?? span.from
    const expected = new Expectation(state, { from: first, to: span.to }, order)
    for await (const page of this.#entries(state, 'block', { from: first, to: span.to }, order, PAGE_ENTRIES)) {
      const blocks: BlockSummary[] = []
      for (const [key, value] of page) {
        const block = decodeSummary(state.stream, offsetOfKey(key), value)
        expected.meet(block)
        const overlaps = block.firstOffset + block.count > span.from
        if (overlaps && mayMatch(block, selection, this.#ownNode)) blocks.push(block)
      }
      yield { blocks, skipped: page.length - blocks.length }
    }
    expected.end(span)
  }

  /** The first offset of the entry that covers `offset`, if there is one before it. */
  async #floor(state: StreamState, kind: 'block' | 'group', offset: number): Promise<number | undefined> {
    const [key] = await this.#meta.keys({
      gte: state.keys.at(kind, 0),
      lte: state.keys.at(kind, offset),
      reverse: true,
      limit: 1,
    })
    return key === undefined ? undefined : offsetOfKey(key)
  }

  #entries(
    state: StreamState,
    kind: 'block' | 'group',
    { from, to }: OffsetRange,
    order: 'asc' | 'desc',
    limit: number,
  ): AsyncGenerator<readonly (readonly [Buffer, Buffer])[]> {
    const range = { gte: state.keys.at(kind, from), lt: state.keys.at(kind, to) }
    return this.#meta.pages({ ...range, limit, reverse: order === 'desc' })
  }
}

function openEntry({ stream }: StreamState, key: Buffer, value: Buffer): IndexEntry {
  const firstOffset = offsetOfKey(key)
  try {
    return { firstOffset, block: decodeSummary(stream, firstOffset, value) }
  } catch (error) {
    if (error instanceof CorruptRecordError) return { firstOffset, block: undefined }
    throw error
  }
}

/** A damaged group only costs the skipping: what it stands for is looked up block by block. */
function openGroup(state: StreamState, key: Buffer, value: Buffer): GroupSummary | undefined {
  try {
    return decodeGroup(state.stream, offsetOfKey(key), value)
  } catch (error) {
    if (error instanceof CorruptRecordError) return undefined
    throw error
  }
}

/** Watches that the entries of a scan lie side by side, so that a lost one is found and never reads as "no events". */
class Expectation {
  readonly #state: StreamState
  readonly #order: 'asc' | 'desc'
  /** Where the next entry has to begin (asc) or end (desc). */
  #next: number
  #met = false

  constructor(state: StreamState, span: OffsetRange, order: 'asc' | 'desc') {
    this.#state = state
    this.#order = order
    this.#next = order === 'asc' ? span.from : span.to
  }

  meet(block: BlockSummary): void {
    const end = block.firstOffset + block.count
    if (this.#order === 'asc') {
      const pruned = block.firstOffset > this.#next && block.firstOffset <= this.#state.prunedTo
      if (block.firstOffset !== this.#next && !pruned) this.#fail(this.#next)
      this.#next = end
    } else {
      // The first one may reach beyond the span.
      if (end < this.#next || (this.#met && end !== this.#next)) this.#fail(end)
      this.#next = block.firstOffset
    }
    this.#met = true
  }

  /** The whole span must have been covered, except for what was pruned. */
  end(span: OffsetRange): void {
    const { prunedTo } = this.#state
    if (this.#order === 'asc' && this.#next < span.to && prunedTo < span.to) this.#fail(this.#next)
    if (this.#order === 'desc' && this.#next > span.from && prunedTo < this.#next) this.#fail(span.from)
  }

  #fail(offset: number): never {
    const place = { stream: this.#state.stream, offset, part: 'index entry' }
    throw new CorruptRecordError(place, 'it is missing', { missing: true })
  }
}
