import type { EventBatch, EventBatchParts, NodeId, TagSelection } from '../core/index.js'
import {
  blockPlace,
  FIRST_FRAME_PART,
  HEADER_PART,
  openBlockFrames,
  openBlockHeader,
  openBlockPositions,
  POSITIONS_PART,
  verifyChain,
} from './block.js'
import { decodeFrameColumns, type BlockHeader } from './block-header.js'
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
   * The events of a block that are meant, in the wanted order, in batches of neighbouring frames.
   *
   * Every value is checked by its checksum; the chain over the lines is checked when the block is read as a whole for the
   * first time.
   *
   * @throws CorruptRecordError; with `missing` when a value does not exist
   */
  async read(request: BlockReadRequest): Promise<EventBatch[]> {
    const wanted = this.#narrowed(request)
    if (wanted === undefined) return []
    if (wanted.isWhole) return this.#readWhole(request)
    const { header, choice } = await this.#choose(request, wanted)
    return choice === 'none' ? [] : this.#readRuns(request, header, frameRuns(header, choice))
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
    const steps = frameRuns(header, choice).flatMap((run) => splitRun(header, run, stepBytes))
    if (request.order === 'desc') steps.reverse()
    for (const step of steps) yield* await this.#readRuns(request, header, [step])
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
  async #readWhole({ source, summary, order }: BlockReadRequest): Promise<EventBatch[]> {
    const parts = [HEADER_PART]
    for (let part = FIRST_FRAME_PART; part < summary.parts; part++) parts.push(part)
    const [headerValue, ...frames] = await source.getMany(parts)
    const header = openBlockHeader(summary, headerValue)
    const lines = await linesOf(summary, header, { from: 0, to: header.frames.count }, frames)
    if (!this.#verified.has(summary.arrival)) {
      verifyChain(summary, header, lines)
      this.#remember(summary.arrival)
    }
    const batch = batchOf(lines, 'all', order)
    return batch === undefined ? [] : [batch]
  }

  /** @param runs ascending */
  async #readRuns(
    { source, summary, order }: BlockReadRequest,
    header: BlockHeader,
    runs: readonly FrameRun[],
  ): Promise<EventBatch[]> {
    const parts = runs.flatMap(({ from, to }) =>
      Array.from({ length: to - from }, (_, at) => FIRST_FRAME_PART + from + at),
    )
    const values = await source.getMany(parts)
    const batches: EventBatch[] = []
    let at = 0
    for (const run of runs) {
      const lines = await linesOf(summary, header, run, values.slice(at, (at += run.to - run.from)))
      const batch = batchOf(lines, run.choice, order)
      if (batch !== undefined) batches.push(batch)
    }
    return order === 'asc' ? batches : batches.reverse()
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
    const cost = (known?.cost ?? DECODED_OVERHEAD + (headerValue?.length ?? 0)) + (positions?.memory ?? 0)
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
    return (this.#columns ??= decodeFrameColumns(
      header,
      0,
      header.frames.count,
      blockPlace(this.#summary, HEADER_PART),
    ))
  }
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

/** Neighbouring frames [from, to) and the chosen lines in them, counted from the first of the run. */
interface FrameRun extends LineBounds {
  readonly choice: LineChoice
}

function frameRuns({ frames }: BlockHeader, choice: Exclude<LineChoice, 'none'>): FrameRun[] {
  if (choice === 'all') return [{ from: 0, to: frames.count, choice }]
  const runs: FrameRun[] = []
  let frame = 0
  let at = 0
  while (at < choice.length) {
    const begin = at
    frame = frameOf(frames.lines, frame, choice[at] ?? 0)
    const from = frame
    let to = from + 1
    while (at < choice.length) {
      const next = frameOf(frames.lines, frame, choice[at] ?? 0)
      if (next > to) break
      frame = next
      to = next + 1
      at++
    }
    const base = frames.lines[from] ?? 0
    const lines = choice.slice(begin, at).map((line) => line - base)
    runs.push({ from, to, choice: lines.length === (frames.lines[to] ?? 0) - base ? 'all' : lines })
  }
  return runs
}

/** Cuts a run where its frames reach `stepBytes`, leaving at least one frame in each piece. */
function splitRun({ frames }: BlockHeader, run: FrameRun, stepBytes: number): FrameRun[] {
  const pieces: FrameRun[] = []
  for (let from = run.from; from < run.to;) {
    let to = from + 1
    while (to < run.to && (frames.positions[to + 1] ?? 0) - (frames.positions[from] ?? 0) <= stepBytes) to++
    pieces.push({ from, to, choice: choiceWithin(frames, run, { from, to }) })
    from = to
  }
  return pieces
}

function choiceWithin({ lines }: BlockHeader['frames'], run: FrameRun, piece: LineBounds): LineChoice {
  if (run.choice === 'all' || run.choice === 'none') return run.choice
  const base = lines[run.from] ?? 0
  const first = (lines[piece.from] ?? 0) - base
  const end = (lines[piece.to] ?? 0) - base
  return run.choice.filter((line) => line >= first && line < end).map((line) => line - first)
}

/** The frame that holds the line, searched upwards from one that is not behind it. */
function frameOf(firstLines: Uint32Array, from: number, line: number): number {
  let frame = from
  while ((firstLines[frame + 1] ?? Infinity) <= line) frame++
  return frame
}

async function linesOf(
  summary: BlockSummary,
  header: BlockHeader,
  { from, to }: LineBounds,
  values: readonly (Buffer | undefined)[],
): Promise<EventBatchParts> {
  return {
    stream: summary.stream,
    firstOffset: summary.firstOffset + (header.frames.lines[from] ?? 0),
    bytes: await openBlockFrames(summary, header, from, values),
    ...decodeFrameColumns(header, from, to, blockPlace(summary, HEADER_PART)),
  }
}
