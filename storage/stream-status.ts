import type { Holder } from './block-fate.js'
import type { PrunePreview, StreamStatus } from './event-store.js'
import { outlookOf, surveyStream, type Survey, type SurveyRequest } from './stream-survey.js'

export interface StatusRequest extends SurveyRequest {
  readonly own: boolean
  readonly name: string | undefined
}

/** A stream as operators see it. */
export async function describeStream(request: StatusRequest): Promise<StreamStatus> {
  const { state, own, name, retention, pruneMicros } = request
  const { record } = state
  const survey = await surveyStream(request)
  const { limit, cuts } = survey.deciding
  return {
    stream: state.stream,
    name,
    number: state.number,
    own,
    events: state.tailEnd - record.firstOffset,
    firstOffset: record.firstOffset,
    nextOffset: state.nextOffset,
    blocks: record.blocks,
    tailEvents: state.tailEvents,
    storedBytes: record.storedBytes + state.tailStoredBytes,
    oldestTimestamp: survey.front[0]?.block.minTimestamp,
    newestTimestamp: state.tailEnd > record.firstOffset ? state.newestTimestamp : undefined,
    retention,
    nextPrune: previewPrune(survey),
    nextPruneMicros: pruneMicros,
    decidingLimit: limit,
    cuts,
  }
}

function previewPrune(survey: Survey): PrunePreview {
  const { dropped, held } = outlookOf(survey, survey.request.nowMicros)
  return {
    blocks: dropped.length,
    events: dropped.reduce((sum, { count }) => sum + count, 0),
    storedBytes: dropped.reduce((sum, { storedBytes }) => sum + storedBytes, 0),
    heldBackBy: heldBackBy(held),
  }
}

const HELD_BACK_BY: Readonly<Record<Holder, PrunePreview['heldBackBy']>> = {
  inside: 'within-limits',
  behind: 'within-limits',
  notFull: 'unsealed',
  owner: 'owner',
  noLimit: 'no-limit',
  clockJump: 'clock-jump',
  damage: 'damage',
  readOnly: 'read-only',
}

function heldBackBy(held: ReturnType<typeof outlookOf>['held']): PrunePreview['heldBackBy'] {
  if (held?.fate.kind !== 'held') return 'unsealed'
  const { fate, standing } = held
  return standing.stage === 'open' && fate.by === 'inside' ? 'unsealed' : HELD_BACK_BY[fate.by]
}
