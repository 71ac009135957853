import { renderRow, type PreparedQuery } from '../../aql/index.js'
import { compareStreamIds, type EventOrder, type EventReader, type NodeId, type OffsetMap } from '../../core/index.js'
import {
  batchChunks,
  counted,
  diagnosticLine,
  isLongLine,
  LineCollector,
  longLine,
  offsetsLine,
  type Progress,
} from './answer-lines.js'

export const BOUNDS_MESSAGE = 'Query bounds out of range: upper bound must be within the known present.'

/** Whether everything that `bound` names is there already. */
export function isWithin(bound: OffsetMap, present: OffsetMap): boolean {
  for (const [stream, offset] of bound) {
    if (offset > (present.get(stream) ?? -1)) return false
  }
  return true
}

/** The later offset of each stream. */
export function joinOffsets(a: OffsetMap, b: OffsetMap): Map<string, number> {
  const joined = new Map(a)
  for (const [stream, offset] of b) {
    if (offset > (joined.get(stream) ?? -1)) joined.set(stream, offset)
  }
  return joined
}

export interface QueryInput {
  readonly reader: EventReader
  readonly nodeId: NodeId
  readonly order: EventOrder
  readonly lowerBound: OffsetMap
  readonly upperBound: OffsetMap
  readonly present: OffsetMap
  readonly signal: AbortSignal
  readonly progress: Progress
}

/** The lines of a one-shot query. An error after the start is a last line, as the status has been sent by then. */
export async function* answerQuery(query: PreparedQuery, input: QueryInput): AsyncGenerator<Buffer> {
  if (!isWithin(input.upperBound, input.present)) {
    yield Buffer.from(diagnosticLine('error', BOUNDS_MESSAGE))
    return
  }
  const complete = yield* query.passThrough ? copyEvents(query, input) : computeRows(query, input)
  if (complete && !input.signal.aborted) yield Buffer.from(offsetsLine(sorted(input.upperBound)))
}

/** Nothing to compute: the stored lines are the answer. */
async function* copyEvents(query: PreparedQuery, input: QueryInput): AsyncGenerator<Buffer, boolean> {
  const { lowerBound, upperBound, signal } = input
  const selection = query.selection ?? { kind: 'all' }
  const order = query.preferredOrder ?? input.order
  yield* batchChunks(counted(input.reader.read({ selection, order, lowerBound, upperBound, signal }), input.progress))
  return true
}

async function* computeRows(query: PreparedQuery, input: QueryInput): AsyncGenerator<Buffer, boolean> {
  const lines = new LineCollector()
  const rows = query.run(input)
  try {
    for (;;) {
      const step = await rows.next()
      if (step.done === true) {
        const rest = lines.take()
        if (rest !== undefined) yield rest
        return step.value.complete
      }
      input.progress.rows += step.value.length
      for (const row of step.value) {
        const line = renderRow(row)
        const chunk = isLongLine(line) ? lines.take() : lines.add(line)
        if (chunk !== undefined) yield chunk
        if (isLongLine(line)) yield* longLine(line)
      }
    }
  } finally {
    await rows.return({ complete: false })
  }
}

function sorted(offsets: OffsetMap): OffsetMap {
  return new Map([...offsets].sort(([a], [b]) => compareStreamIds(a, b)))
}
