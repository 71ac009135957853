import type { EventBatch, EventBatchParts, NodeId, TagSelection } from '../core/index.js'
import {
  blockPlace,
  FIRST_FRAMES_PART,
  framePart,
  HEADER_PART,
  openBlockFrames,
  openBlockHeader,
  openBlockPositions,
  POSITIONS_PART,
  verifyChain,
} from './block.js'
import { allFrames, decodeFrameColumns, type BlockHeader } from './block-header.js'
import type { BlockSummary } from './block-summary.js'
import { DecodedCache, type DecodedBlock } from './decoded-cache.js'
import type { PositionIndex } from './position-index.js'
import { batchOf, chooseLines, type LineBounds, type LineChoice, type LineIndex } from './positions.js'
import { narrow } from './skip.js'

/** Where the values of one block come from. */
export interface BlockSource {
  getMany(parts: readonly number[]): Promise<readonly (Buffer | undefined)[]>
}

export interface BlockReadRequest {
  readonly source: BlockSource
  readonly summary: BlockSummary
  readonly selection: TagSelection
  /** Offset, inclusive; may lie outside of the block. */
  readonly from: number
  /** Offset, exclusive; may lie outside of the block. */
  readonly to: number
  readonly order: 'asc' | 'desc'
}

export interface BlockReaderOptions {
  readonly ownNode: NodeId
  /** Memory for headers and positions, bytes. */
  readonly cacheBytes: number
}

/** Blocks whose chain is remembered as verified; beyond, the oldest are verified again. */
const MAX_VERIFIED = 65_536

/** Memory of a decoded block beside its bytes: objects and arrays. */
const DECODED_OVERHEAD = 1024

/** Reads events out of sealed blocks: only the values that are needed, and of these as many as possible at once. */
export class BlockReader {
  readonly #ownNode: NodeId
  readonly #cache: DecodedCache
  readonly #verified = new Set<number>()

  constructor({ ownNode, cacheBytes }: BlockReaderOptions) {
    this.#ownNode = ownNode
    this.#cache = new DecodedCache(cacheBytes)
  }

  /** Memory in use for decoded parts. */
  get cacheBytes(): number {
    return this.#cache.bytes
  }

  /**
   * The events of a block that are meant, in the wanted order.
   *
   * Every value is checked by its checksum; the chain over the lines is checked when the block is read as a whole for the
   * first time.
   *
   * @throws CorruptRecordError; with `missing` when a value does not exist
   */
  async read(request: BlockReadRequest): Promise<EventBatch | undefined> {
    const wanted = this.#narrowed(request)
    if (wanted === undefined) return undefined
    if (wanted.isWhole) return this.#readWhole(request)
    const { header, choice } = await this.#choose(request, wanted)
    return choice === 'none' ? undefined : this.#readChosen(request, header, choiceOfFrames(header, choice))
  }

  /**
   * As {@link read}, but only about `stepBytes` of lines are in memory at a time: for a merge of so many streams that a
   * whole block of each would be too much. Slower, and the chain is not checked.
   *
   * @throws CorruptRecordError
   */
  async *readInSteps(request: BlockReadRequest, stepBytes: number): AsyncGenerator<EventBatch> {
    const wanted = this.#narrowed(request)
    if (wanted === undefined) return
    const { header, choice } = await this.#choose(request, wanted)
    if (choice === 'none') return
    const steps = splitChoice(header, choiceOfFrames(header, choice), stepBytes)
    if (request.order === 'desc') steps.reverse()
    for (const step of steps) {
      const batch = await this.#readChosen(request, header, step)
      if (batch !== undefined) yield batch
    }
  }

  /** What is known of a block that no longer exists, or was found damaged, is forgotten. */
  forget(arrival: number): void {
    this.#cache.delete(arrival)
    this.#verified.delete(arrival)
  }

  /** What is left of the request for this block; `undefined` when that is nothing. */
  #narrowed({ summary, selection, from, to }: BlockReadRequest): NarrowedRequest | undefined {
    const narrowed = narrow(selection, summary, this.#ownNode)
    const bounds = {
      from: Math.max(0, from - summary.firstOffset),
      to: Math.min(summary.count, to - summary.firstOffset),
    }
    if (narrowed.kind === 'none' || bounds.from >= bounds.to) return undefined
    return {
      selection: narrowed,
      bounds,
      isWhole: narrowed.kind === 'all' && bounds.to - bounds.from === summary.count,
    }
  }

  async #choose(
    request: BlockReadRequest,
    { selection, bounds }: NarrowedRequest,
  ): Promise<{ readonly header: BlockHeader; readonly choice: LineChoice }> {
    const decoded = await this.#decoded(request, asksForNames(selection))
    const index = new BlockLineIndex(request.summary, decoded)
    return { header: decoded.header, choice: chooseLines(selection, index, this.#ownNode, bounds) }
  }

  /** One trip for all values; the cache is left alone, since a scan would only wash it out. */
  async #readWhole({ source, summary, order }: BlockReadRequest): Promise<EventBatch | undefined> {
    const parts = [HEADER_PART]
    for (let part = FIRST_FRAMES_PART; part < summary.parts; part++) parts.push(part)
    const values = await fetch(source, parts)
    const header = openBlockHeader(summary, values.get(HEADER_PART))
    const lines = await linesOf(summary, header, allFrames(header), values)
    if (!this.#verified.has(summary.arrival)) {
      verifyChain(summary, header, lines)
      this.#remember(summary.arrival)
    }
    return batchOf(lines, 'all', order)
  }

  async #readChosen(
    { source, summary, order }: BlockReadRequest,
    header: BlockHeader,
    { frames, lines }: FrameChoice,
  ): Promise<EventBatch | undefined> {
    const values = await fetch(source, [...new Set(frames.map(framePart))])
    return batchOf(await linesOf(summary, header, frames, values), lines, order)
  }

  async #decoded({ source, summary }: BlockReadRequest, withPositions: boolean): Promise<DecodedBlock> {
    const known = this.#cache.get(summary.arrival)
    const wanted: number[] = []
    if (known === undefined) wanted.push(HEADER_PART)
    if (withPositions && known?.positions === undefined) wanted.push(POSITIONS_PART)
    if (known !== undefined && wanted.length === 0) return known
    const values = await source.getMany(wanted)
    const [headerValue] = values
    const header = known?.header ?? openBlockHeader(summary, headerValue)
    const positions = withPositions ? openBlockPositions(summary, values[wanted.indexOf(POSITIONS_PART)]) : undefined
    const cost = (known?.cost ?? DECODED_OVERHEAD + memoryOf(header, headerValue)) + (positions?.memory ?? 0)
    const decoded = { header, positions, cost }
    this.#cache.set(summary.arrival, decoded)
    return decoded
  }

  #remember(arrival: number): void {
    this.#verified.add(arrival)
    if (this.#verified.size <= MAX_VERIFIED) return
    for (const oldest of this.#verified) {
      this.#verified.delete(oldest)
      return
    }
  }
}

/** A request without what the summary of the block already answers. */
interface NarrowedRequest {
  readonly selection: TagSelection
  /** By line number. */
  readonly bounds: LineBounds
  readonly isWhole: boolean
}

/** Looks up what a selection asks about, each column at most once. */
class BlockLineIndex implements LineIndex {
  readonly stream: string
  readonly count: number
  readonly #summary: BlockSummary
  readonly #decoded: DecodedBlock
  #columns: ReturnType<typeof decodeFrameColumns> | undefined

  constructor(summary: BlockSummary, decoded: DecodedBlock) {
    this.stream = summary.stream
    this.count = summary.count
    this.#summary = summary
    this.#decoded = decoded
  }

  addTagged(...[anyOf, into]: Parameters<LineIndex['addTagged']>): void {
    this.#positions.tags.addLinesOf(anyOf, into)
  }

  addOfApp(...[appId, into]: Parameters<LineIndex['addOfApp']>): void {
    this.#positions.apps.addLines(appId, into)
  }

  lamports(): Float64Array {
    return this.#allColumns().lamports
  }

  timestamps(): Float64Array {
    return this.#allColumns().timestamps
  }

  get #positions(): PositionIndex {
    if (this.#decoded.positions === undefined) throw new TypeError('the positions were not loaded')
    return this.#decoded.positions
  }

  #allColumns(): ReturnType<typeof decodeFrameColumns> {
    const { header } = this.#decoded
    return (this.#columns ??= decodeFrameColumns(header, allFrames(header), blockPlace(this.#summary, HEADER_PART)))
  }
}

/** Bytes of a header: the value that its columns are a view of, and the tables made from it. */
function memoryOf({ dictionary, frames }: BlockHeader, value: Buffer | undefined): number {
  return (value?.length ?? 0) + dictionary.length + 4 * frames.lines.byteLength
}

/** Whether tags or app ids have to be looked up. */
function asksForNames(selection: TagSelection): boolean {
  switch (selection.kind) {
    case 'tags':
    case 'appId':
      return true
    case 'and':
    case 'or':
      return selection.terms.some(asksForNames)
    default:
      return false
  }
}

/** Frames that hold chosen lines, ascending, and these lines, counted from the first line of the first frame. */
interface FrameChoice {
  readonly frames: readonly number[]
  readonly lines: 'all' | Uint32Array
}

/** @param choice lines by their number in the block */
function choiceOfFrames(header: BlockHeader, choice: 'all' | Uint32Array): FrameChoice {
  if (choice === 'all') return { frames: allFrames(header), lines: 'all' }
  const { lines } = header.frames
  const frames: number[] = []
  let frame = -1
  for (const line of choice) {
    if (line < (lines[frame + 1] ?? 0)) continue
    while ((lines[frame + 1] ?? Infinity) <= line) frame++
    frames.push(frame)
  }
  return { frames, lines: countedFrom(lines[frames[0] ?? 0] ?? 0, choice) }
}

/** Cuts a choice where its frames reach `stepBytes`, leaving at least one frame in each piece. */
function splitChoice(header: BlockHeader, choice: FrameChoice, stepBytes: number): FrameChoice[] {
  const { positions } = header.frames
  const pieces: FrameChoice[] = []
  let frames: number[] = []
  let bytes = 0
  for (const frame of choice.frames) {
    const length = (positions[frame + 1] ?? 0) - (positions[frame] ?? 0)
    if (frames.length > 0 && bytes + length > stepBytes) {
      pieces.push(choiceWithin(header, choice, frames))
      frames = []
      bytes = 0
    }
    frames.push(frame)
    bytes += length
  }
  pieces.push(choiceWithin(header, choice, frames))
  return pieces
}

function choiceWithin({ frames: { lines } }: BlockHeader, choice: FrameChoice, frames: readonly number[]): FrameChoice {
  if (choice.lines === 'all') return { frames, lines: 'all' }
  const base = lines[choice.frames[0] ?? 0] ?? 0
  const first = (lines[frames[0] ?? 0] ?? 0) - base
  const end = (lines[(frames.at(-1) ?? 0) + 1] ?? 0) - base
  return {
    frames,
    lines: countedFrom(
      first,
      choice.lines.filter((line) => line >= first && line < end),
    ),
  }
}

function countedFrom(base: number, lines: Uint32Array): Uint32Array {
  return base === 0 ? lines : lines.map((line) => line - base)
}

async function fetch(source: BlockSource, parts: readonly number[]): Promise<Map<number, Buffer | undefined>> {
  const values = await source.getMany(parts)
  return new Map(parts.map((part, at) => [part, values[at]]))
}

/** All of the frames are inflated together, as starting zlib costs more than a small frame. */
async function linesOf(
  summary: BlockSummary,
  header: BlockHeader,
  frames: readonly number[],
  values: ReadonlyMap<number, Buffer | undefined>,
): Promise<EventBatchParts> {
  return {
    stream: summary.stream,
    firstOffset: summary.firstOffset + (header.frames.lines[frames[0] ?? 0] ?? 0),
    bytes: await openBlockFrames(summary, header, frames, values),
    ...decodeFrameColumns(header, frames, blockPlace(summary, HEADER_PART)),
  }
}
