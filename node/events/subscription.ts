import { renderRow, type LiveQuery, type PreparedQuery } from '../../aql/index.js'
import type { LineEvent } from '../../core/index.js'
import { batchChunks, counted, LineCollector, offsetsLine, type Progress } from './answer-lines.js'
import { eventRuns, followEvents, type FollowInput, type Stretch } from './follow.js'

/** The lines of `subscribe`: the past, an offsets line, then what comes. */
export async function* answerSubscription(
  query: PreparedQuery,
  live: LiveQuery,
  input: FollowInput,
): AsyncGenerator<Buffer> {
  for await (const stretch of followEvents(input)) {
    yield* query.passThrough ? copied(stretch, input.progress) : computed(live, stretch, input.progress)
    if (input.signal.aborted) return
    if (!live.done && stretch.kind === 'past') yield Buffer.from(endOfPast(live) + offsetsLine(stretch.upTo))
    if (live.done) return
  }
}

function endOfPast(live: LiveQuery): string {
  return live
    .caughtUp()
    .map((row) => renderRow(row))
    .join('')
}

async function* copied(stretch: Stretch, progress: Progress): AsyncGenerator<Buffer> {
  if (stretch.kind === 'new') {
    progress.rows += stretch.events.length
    yield Buffer.concat(stretch.events.map(({ line }) => line))
  } else yield* batchChunks(counted(stretch.batches, progress))
}

async function* computed(live: LiveQuery, stretch: Stretch, progress: Progress): AsyncGenerator<Buffer> {
  const lines = new LineCollector()
  for await (const run of eventRuns(stretch)) {
    for (const { event, more } of withMore(run)) {
      for (const row of live.feed(event, more)) {
        progress.rows += 1
        const chunk = lines.add(renderRow(row))
        if (chunk !== undefined) yield chunk
      }
      if (live.done) break
    }
    if (live.done) break
  }
  const rest = lines.take()
  if (rest !== undefined) yield rest
}

/** Each event, and whether another one follows. */
function* withMore(run: Iterable<LineEvent>): Generator<{ readonly event: LineEvent; readonly more: boolean }> {
  let previous: LineEvent | undefined
  for (const event of run) {
    if (previous !== undefined) yield { event: previous, more: true }
    previous = event
  }
  if (previous !== undefined) yield { event: previous, more: false }
}
