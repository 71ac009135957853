import { HEADER_PART, FIRST_FRAMES_PART, blockKey, openBlockFrames, openBlockHeader, blockPlace } from './block.js'
import { allFrames, decodeFrameColumns, type BlockHeader } from './block-header.js'
import type { BlockSummary } from './block-summary.js'
import { nextHash } from './chain.js'
import type { Database } from './database.js'
import type { IndexReader } from './index-reader.js'
import type { StreamState } from './stream-state.js'

/** Where an offset lies in the chain. */
export interface ChainPlace {
  /** First offset of the block that the event before it belongs to. */
  readonly blockOffset: number
  /** Chain after that event; `undefined` when it is not the last of its commit part. */
  readonly hash: Buffer | undefined
}

/** Finds links of the chain, in the tail and in sealed blocks. */
export class ChainLookup {
  readonly #blocks: Database
  readonly #index: IndexReader

  constructor(blocks: Database, index: IndexReader) {
    this.#blocks = blocks
    this.#index = index
  }

  /**
   * The place of an offset; `undefined` when the event before it is not held.
   *
   * @throws CorruptRecordError
   */
  async find(state: StreamState, offset: number): Promise<ChainPlace | undefined> {
    if (offset <= state.record.firstOffset || offset > state.tailEnd) return undefined
    const block = state.tail().find((each) => each.firstOffset < offset && each.endOffset >= offset)
    if (block !== undefined) {
      const part = block.parts.find(({ lines }) => lines.firstOffset + lines.payloads.length === offset)
      return { blockOffset: block.firstOffset, hash: part?.hash }
    }
    const summary = await this.blockAt(state, offset - 1)
    if (summary === undefined) return undefined
    const { firstOffset: blockOffset, count, hash } = summary
    return { blockOffset, hash: blockOffset + count === offset ? hash : await this.#hashInside(summary, offset) }
  }

  /** The sealed block with the event of this offset. */
  async blockAt(state: StreamState, offset: number): Promise<BlockSummary | undefined> {
    const request = { state, selection: { kind: 'all' }, from: offset, to: offset + 1, order: 'asc' } as const
    for await (const { blocks } of this.#index.pages(request)) return blocks[0]
    return undefined
  }

  /** @throws CorruptRecordError */
  async header(summary: BlockSummary): Promise<BlockHeader> {
    return openBlockHeader(summary, await this.#blocks.get(blockKey(summary.arrival, HEADER_PART)))
  }

  /** Header and frames of a block, by part. */
  async values({ arrival, parts }: BlockSummary): Promise<Map<number, Buffer | undefined>> {
    const wanted = [HEADER_PART]
    for (let part = FIRST_FRAMES_PART; part < parts; part++) wanted.push(part)
    const values = await this.#blocks.getMany(wanted.map((part) => blockKey(arrival, part)))
    return new Map(wanted.map((part, at) => [part, values[at]]))
  }

  async #hashInside(summary: BlockSummary, offset: number): Promise<Buffer | undefined> {
    const { stream, firstOffset } = summary
    const values = await this.values(summary)
    const header = openBlockHeader(summary, values.get(HEADER_PART))
    const counts = commitsUpTo(header, offset)
    if (counts === undefined) return undefined
    const frames = allFrames(header)
    const bytes = await openBlockFrames(summary, header, frames, values)
    const { starts, payloads } = decodeFrameColumns(header, frames, blockPlace(summary, HEADER_PART))
    let line = 0
    let hash = header.previousHash
    for (const count of counts) {
      const part = {
        stream,
        bytes,
        starts: starts.subarray(line, line + count + 1),
        payloads: payloads.subarray(line, line + count),
      }
      hash = nextHash(hash, { ...part, firstOffset: firstOffset + line })
      line += count
    }
    return hash
  }
}

/** Sizes of the commits before an offset; `undefined` when it lies inside of one. */
function commitsUpTo({ commits, firstOffset }: BlockHeader, offset: number): readonly number[] | undefined {
  let end = firstOffset
  let taken = 0
  while (end < offset) end += commits[taken++] ?? Infinity
  return end === offset ? commits.slice(0, taken) : undefined
}
