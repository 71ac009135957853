import {
  CutFinder,
  decisiveLimit,
  FateCursor,
  type BlockFate,
  type BlockStand,
  type Deciding,
  type FateRules,
  type PicturedBlock,
} from './block-fate.js'
import { CorruptRecordError } from './corrupt-record.js'
import type { IndexReader } from './index-reader.js'
import { PruneCursor, type Retention, type Totals } from './retention.js'
import type { StreamState } from './stream-state.js'
import type { TailBlock } from './tail-block.js'

export interface SurveyRequest {
  readonly state: StreamState
  readonly index: IndexReader
  readonly retention: Retention
  readonly nowMicros: number
  /** When the next prune comes at the latest; `undefined` while nothing can be written. */
  readonly pruneMicros: number | undefined
  /** Whether pruning by age waits because the wall clock jumped. */
  readonly clockJumped: boolean
}

/** A block and how it stands. */
export interface StandingBlock extends BlockStand {
  readonly block: PicturedBlock
}

/** What of a stream is beyond its limits, or nearest to that. */
export interface Survey {
  readonly request: SurveyRequest
  /** The oldest blocks, the unsealed ones too, at least to the first that stays. */
  readonly front: readonly StandingBlock[]
  readonly deciding: Deciding
  /** The index of its blocks is damaged there, so that nothing of it is pruned. */
  readonly isDamaged: boolean
}

/** Looks at the oldest blocks of a stream, as far as a prune or a limit reaches into it. */
export async function surveyStream(request: SurveyRequest): Promise<Survey> {
  const { state, retention, nowMicros } = request
  const total = totalsOf(state)
  const finder = new CutFinder(total, retention, nowMicros)
  const isPast = beyondEnd(request, total)
  const front: StandingBlock[] = []
  let isDamaged = state.damaged
  let isOver = false
  /** @returns whether later blocks matter no more */
  const take = (standing: StandingBlock): boolean => {
    front.push(standing)
    finder.add(standing.block)
    return isPast(standing.block) && finder.isDone
  }
  try {
    for await (const block of request.index.oldest(state)) {
      isOver = take({ block, stage: 'sealed', endsMicros: Infinity })
      if (isOver) break
    }
  } catch (error) {
    if (!(error instanceof CorruptRecordError)) throw error
    isDamaged = true
  }
  if (!isOver && !isDamaged) for (const standing of standingTail(state, retention)) if (take(standing)) break
  const oldest = front[0]?.block.minTimestamp ?? nowMicros
  const { cuts } = finder
  return {
    request,
    front,
    deciding: { limit: decisiveLimit(retention, cuts, total, nowMicros - oldest), cuts },
    isDamaged,
  }
}

/** Says of each next block whether one was met that is within all limits, now and at the next prune. */
function beyondEnd({ state, retention, nowMicros, pruneMicros }: SurveyRequest, total: Totals) {
  const cursor = new PruneCursor(total, retention, Math.max(nowMicros, pruneMicros ?? nowMicros))
  let isPast = false
  return (block: PicturedBlock): boolean => {
    const goes = cursor.mayDrop(block) || block.firstOffset + block.count <= state.prunedByOwner
    if (!goes) isPast = true
    return isPast
  }
}

/** Says what becomes of the blocks of a surveyed stream, from the oldest on. */
export function fatesOf(survey: Survey, atMicros: number): FateCursor {
  const { state } = survey.request
  return new FateCursor({ ...totalsOf(state), end: state.tailEnd }, rulesOf(survey, atMicros), survey.deciding)
}

function rulesOf({ request, isDamaged }: Survey, pruneMicros: number): FateRules {
  const { state, retention, clockJumped } = request
  return {
    retain: retention,
    pruneMicros,
    isReplica: state.isReplica,
    prunedByOwner: state.prunedByOwner,
    stopped: isDamaged ? 'damage' : request.pruneMicros === undefined ? 'readOnly' : undefined,
    clockJumped,
  }
}

/** Blocks that would go at a moment, and the first one that would stay. */
export interface Outlook {
  readonly dropped: readonly PicturedBlock[]
  readonly held: { readonly fate: BlockFate; readonly standing: StandingBlock } | undefined
}

export function outlookOf(survey: Survey, atMicros: number): Outlook {
  const fates = fatesOf(survey, atMicros)
  const dropped: PicturedBlock[] = []
  for (const standing of survey.front) {
    const fate = fates.next(standing.block, standing)
    if (fate.kind === 'held') return { dropped, held: { fate, standing } }
    dropped.push(standing.block)
  }
  return { dropped, held: undefined }
}

/** The unsealed blocks, oldest first. */
export function* standingTail(state: StreamState, { maxBlockAgeMicros }: Retention): Generator<StandingBlock> {
  const sealable = new Set(state.sealable)
  for (const tail of state.tail()) {
    const block = pictureOf(tail)
    if (tail !== state.open) yield { block, stage: sealable.has(tail) ? 'signed' : 'unsigned', endsMicros: Infinity }
    // That of a replica is ended by its owner.
    else if (state.isReplica) yield { block, stage: 'unsigned', endsMicros: Infinity }
    else yield { block, stage: 'open', endsMicros: (tail.firstTimestamp ?? Infinity) + maxBlockAgeMicros }
  }
}

function pictureOf({ firstOffset, events, storedBytes, parts }: TailBlock): PicturedBlock {
  let minTimestamp = Infinity
  let maxTimestamp = -Infinity
  for (const { lines } of parts) {
    for (const timestamp of lines.timestamps) {
      if (timestamp < minTimestamp) minTimestamp = timestamp
      if (timestamp > maxTimestamp) maxTimestamp = timestamp
    }
  }
  return { firstOffset, count: events, storedBytes, minTimestamp, maxTimestamp }
}

/** What retention starts from. */
export function totalsOf(state: StreamState): Totals {
  return {
    events: state.tailEnd - state.record.firstOffset,
    storedBytes: state.record.storedBytes + state.tailStoredBytes,
  }
}
