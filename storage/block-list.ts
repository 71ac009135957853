import type { BlockLimits } from './block-boundaries.js'
import type { FateCursor } from './block-fate.js'
import type { BlockSummary } from './block-summary.js'
import type { BlockPage, BlocksRequest, BlockStatus, OpenBlock } from './event-store.js'
import type { OffsetRange } from './index-reader.js'
import type { StreamState } from './stream-state.js'
import {
  fatesOf,
  standingTail,
  surveyStream,
  type StandingBlock,
  type Survey,
  type SurveyRequest,
} from './stream-survey.js'

/** What listing the blocks of a stream takes. */
export interface ListRequest extends SurveyRequest, BlocksRequest {
  readonly limits: BlockLimits
  /** What reads have found out about stored values, by the offset that they belong to. */
  readonly found: ReadonlyMap<number, 'damaged' | 'missing'>
}

/** The blocks of a stream with what becomes of them, and with the holes where blocks should be. */
export async function listBlocks(request: ListRequest): Promise<BlockPage> {
  const { state, limit, order, pruneMicros, nowMicros } = request
  const survey = await surveyStream(request)
  // What is sealed, pruned and published meanwhile is not looked at.
  const ends = endsOf(state)
  const range = rangeOf(request)
  const pieces: Piece[] = []
  for await (const piece of piecesOf(request, range)) {
    if (pieces.push(piece) > limit) break
  }
  const wanted = pieces.slice(0, limit)
  const ascending = order === 'asc' ? wanted : wanted.toReversed()
  const fates = new Fates(survey, pruneMicros ?? nowMicros)
  const blocks = numbered(ends, ascending).map(([piece, number]) => describe(piece, number, fates, request))
  return {
    stream: state.stream,
    firstOffset: ends.firstOffset,
    nextOffset: ends.nextOffset,
    nextPruneMicros: pruneMicros,
    decidingLimit: survey.deciding.limit,
    cuts: survey.deciding.cuts,
    blocks: order === 'asc' ? blocks : blocks.toReversed(),
    hasMore: pieces.length > limit,
    open: openBlock(request),
  }
}

/** A block, or a hole where one should be. */
interface Piece {
  readonly from: number
  readonly to: number
  readonly standing: StandingBlock | undefined
  readonly state: BlockStatus['state']
}

function rangeOf({ state, from, order }: ListRequest): OffsetRange {
  const { firstOffset } = state.record
  const { nextOffset } = state
  if (order === 'asc') return { from: Math.max(firstOffset, from ?? 0), to: nextOffset }
  return { from: firstOffset, to: Math.min(nextOffset, from ?? nextOffset) }
}

async function* piecesOf(request: ListRequest, range: OffsetRange): AsyncGenerator<Piece> {
  const { state, retention } = request
  const { sealedEnd } = state.record
  const sealed = { from: range.from, to: Math.min(range.to, sealedEnd) }
  const tail = [...standingTail(state, retention)]
    .map((standing) => toPiece(standing, request))
    .filter(({ from, to }) => to > range.from && from < range.to)
  const { tailEnd } = state
  // What was acknowledged and is not there.
  const lost: Piece[] = range.to > tailEnd ? [hole(tailEnd, state.nextOffset, 'missing')] : []
  if (request.order === 'asc') {
    if (sealed.from < sealed.to) yield* sealedPieces(request, sealed)
    yield* tail
    yield* lost
    return
  }
  yield* lost
  yield* tail.toReversed()
  if (sealed.from < sealed.to) yield* sealedPieces(request, sealed)
}

function sealedPieces(request: ListRequest, range: OffsetRange): AsyncGenerator<Piece> {
  return request.order === 'asc' ? ascendingPieces(request, range) : descendingPieces(request, range)
}

async function* ascendingPieces(request: ListRequest, range: OffsetRange): AsyncGenerator<Piece> {
  const { state, index } = request
  let next = range.from
  let damaged: number | undefined
  for await (const { firstOffset, block } of index.entries(state, range, 'asc')) {
    // What a damaged entry stands for ends where the next one begins.
    if (damaged !== undefined) yield hole(damaged, firstOffset, 'damaged')
    else if (firstOffset > next && firstOffset > state.prunedTo) yield hole(next, firstOffset, 'missing')
    damaged = block === undefined ? firstOffset : undefined
    next = Math.max(range.from, block === undefined ? firstOffset : firstOffset + block.count)
    if (block !== undefined && firstOffset + block.count > range.from) yield toPiece(sealedStanding(block), request)
  }
  if (damaged !== undefined) yield hole(damaged, state.record.sealedEnd, 'damaged')
  else if (Math.max(next, state.prunedTo) < range.to) yield hole(Math.max(next, state.prunedTo), range.to, 'missing')
}

async function* descendingPieces(request: ListRequest, range: OffsetRange): AsyncGenerator<Piece> {
  const { state, index } = request
  let before = range.to
  for await (const { firstOffset, block } of index.entries(state, range, 'desc')) {
    if (block === undefined) {
      yield hole(firstOffset, before, 'damaged')
    } else {
      const end = firstOffset + block.count
      if (end < before) yield hole(end, before, 'missing')
      yield toPiece(sealedStanding(block), request)
    }
    before = firstOffset
  }
  if (before > Math.max(range.from, state.prunedTo)) yield hole(Math.max(range.from, state.prunedTo), before, 'missing')
}

function sealedStanding(block: BlockSummary): StandingBlock {
  return { block, stage: 'sealed', endsMicros: Infinity }
}

function toPiece(standing: StandingBlock, { found }: ListRequest): Piece {
  const { firstOffset: from, count } = standing.block
  const to = from + count
  let state: Piece['state'] = 'ok'
  for (const [offset, what] of found) if (offset >= from && offset < to) state = what
  return { from, to, standing, state }
}

function hole(from: number, to: number, state: 'damaged' | 'missing'): Piece {
  return { from, to, standing: undefined, state }
}

/** Where a stream begins and ends, in offsets and in numbers of blocks. */
interface Ends {
  readonly firstOffset: number
  readonly nextOffset: number
  readonly oldest: number
  /** Behind the newest one. */
  readonly next: number
}

function endsOf(state: StreamState): Ends {
  const { firstOffset, sealedBlocks, blocks } = state.record
  const next = sealedBlocks + state.tail().length
  return { firstOffset, nextOffset: state.nextOffset, oldest: sealedBlocks - blocks, next }
}

/** Only the numbers of the oldest and of the newest block are known, so others are counted from the end that is in sight. */
function numbered(
  { firstOffset, nextOffset, oldest, next }: Ends,
  pieces: readonly Piece[],
): (readonly [Piece, number | undefined])[] {
  const isWhole = pieces.every(({ standing }) => standing !== undefined)
  if (isWhole && pieces[0]?.from === firstOffset) return pieces.map((piece, at) => [piece, oldest + at])
  const touchesEnd = isWhole && pieces.at(-1)?.to === nextOffset
  return pieces.map((piece, at) => [piece, touchesEnd ? next - pieces.length + at : undefined])
}

/** Fates of blocks that are asked for in order, by a cursor that starts at the oldest. */
class Fates {
  readonly #cursor: FateCursor
  readonly #front: readonly StandingBlock[]
  #at = 0

  constructor(survey: Survey, pruneMicros: number) {
    this.#cursor = fatesOf(survey, pruneMicros)
    this.#front = survey.front
  }

  of(standing: StandingBlock): BlockStatus['fate'] {
    const { firstOffset } = standing.block
    for (let older = this.#front[this.#at]; older !== undefined; older = this.#front[++this.#at]) {
      if (older.block.firstOffset >= firstOffset) break
      this.#cursor.next(older.block, older)
    }
    if (this.#front[this.#at]?.block.firstOffset === firstOffset) this.#at++
    else this.#cursor.skipTo(firstOffset)
    return this.#cursor.next(standing.block, standing)
  }
}

function describe(piece: Piece, number: number | undefined, fates: Fates, request: ListRequest): BlockStatus {
  const { from, to, standing, state } = piece
  if (standing === undefined) {
    const unknown = { storedBytes: undefined, oldestTimestamp: undefined, newestTimestamp: undefined, fate: undefined }
    return {
      number,
      firstOffset: from,
      events: to - from,
      ...unknown,
      sealed: to <= request.state.record.sealedEnd,
      state,
    }
  }
  const { block, stage } = standing
  return {
    number,
    firstOffset: from,
    events: block.count,
    storedBytes: block.storedBytes,
    oldestTimestamp: block.minTimestamp,
    newestTimestamp: block.maxTimestamp,
    sealed: stage === 'sealed',
    state,
    fate: fates.of(standing),
  }
}

function openBlock({ state, limits, retention }: ListRequest): OpenBlock | undefined {
  const { firstOffset, events, payloadBytes, firstTimestamp } = state.open
  if (events === 0) return undefined
  const endsMicros = (firstTimestamp ?? Infinity) + (state.isReplica ? Infinity : retention.maxBlockAgeMicros)
  return {
    firstOffset,
    events,
    payloadBytes,
    ...limits,
    endsMicros: Number.isFinite(endsMicros) ? endsMicros : undefined,
  }
}
