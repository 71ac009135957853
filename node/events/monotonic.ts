import { renderRow, type LiveQuery, type Row } from '../../aql/index.js'
import { compareStreamIds, type EventKey, type LineEvent } from '../../core/index.js'
import { LineCollector, offsetsLine, timeTravelLine, type Progress } from './answer-lines.js'
import { eventRuns, followEvents, type FollowInput, type Stretch } from './follow.js'

/** Order of all events: lamport, stream, offset. */
export function compareKeys(a: EventKey, b: EventKey): number {
  return a.lamport - b.lamport || compareStreamIds(a.stream, b.stream) || a.offset - b.offset
}

/**
 * The key of the newest event inside `lowerBound` of which the subscription would have delivered something: what the
 * client has seen. Events that sort before it would have to be undone.
 */
async function newestSeen(live: LiveQuery, input: FollowInput): Promise<EventKey | undefined> {
  if (input.lowerBound.size === 0) return undefined
  const { selection, lowerBound, signal } = input
  const seen = input.events.read({ selection, order: 'desc', lowerBound: new Map(), upperBound: lowerBound, signal })
  for await (const batch of seen) {
    for (let index = 0; index < batch.length; index++) {
      const event = batch.event(index)
      if (hasEvent(live.feed(event)) || live.done) return event
    }
  }
  return undefined
}

function hasEvent(rows: readonly Row[]): boolean {
  return rows.some(({ kind }) => kind !== 'diagnostic')
}

/**
 * The lines of `subscribe_monotonic`: like `subscribe`, but in the total order of events; an event that would have to
 * stand before a delivered one is withheld, and the answer ends by naming it.
 *
 * @param past the same query once more, to look at what the client has seen
 */
export async function* answerMonotonic(live: LiveQuery, past: LiveQuery, input: FollowInput): AsyncGenerator<Buffer> {
  const order = new OrderKeeper(live, await newestSeen(past, input))
  for await (const stretch of followEvents(input)) {
    yield* inOrder(order, stretch, input.progress)
    if (input.signal.aborted) return
    if (order.violatedBy !== undefined) yield Buffer.from(timeTravelLine(order.violatedBy))
    if (order.ended) return
    if (stretch.kind === 'past') yield Buffer.from(offsetsLine(stretch.upTo))
  }
}

/** Computes rows and watches that the keys of what is delivered only rise. */
class OrderKeeper {
  readonly #live: LiveQuery
  #newest: EventKey | undefined
  violatedBy: EventKey | undefined

  constructor(live: LiveQuery, newest: EventKey | undefined) {
    this.#live = live
    this.#newest = newest
  }

  /** Whether nothing more is to be delivered. */
  get ended(): boolean {
    return this.violatedBy !== undefined || this.#live.done
  }

  /** What is to be delivered of an event; an event of which there is nothing to deliver disturbs no order. */
  rowsOf(event: LineEvent): readonly Row[] {
    const rows = this.#live.feed(event)
    if (!hasEvent(rows)) return rows
    if (this.#newest !== undefined && compareKeys(event, this.#newest) < 0) {
      this.violatedBy = event
      return []
    }
    this.#newest = event
    return rows
  }
}

async function* inOrder(order: OrderKeeper, stretch: Stretch, progress: Progress): AsyncGenerator<Buffer> {
  const lines = new LineCollector()
  const newest = new NewestEvent()
  const isPast = stretch.kind === 'past'
  for await (const run of eventRuns(inKeyOrder(stretch))) {
    for (const event of run) {
      for (const row of order.rowsOf(event)) {
        progress.rows += 1
        const chunk = lines.add(isPast ? rowLine(row, false) : newest.replace(row))
        if (chunk !== undefined) yield chunk
      }
      if (order.ended) break
    }
    if (order.ended) break
  }
  const end = lines.add(newest.take(true))
  const rest = end ?? lines.take()
  if (rest !== undefined) yield rest
}

/** The last event of a stretch alone is caught up: each is kept back until it is known whether another one follows. */
class NewestEvent {
  #row: Row | undefined

  /** The line of the one before, or of a warning, which overtakes the event that is kept. */
  replace(row: Row): string {
    if (row.kind === 'diagnostic' && row.severity === 'warning') return renderRow(row)
    const line = this.take(false)
    this.#row = row
    return line
  }

  take(caughtUp: boolean): string {
    const row = this.#row
    this.#row = undefined
    return row === undefined ? '' : rowLine(row, caughtUp)
  }
}

/** What came together from several nodes may be out of order; put into order it need not be undone. */
function inKeyOrder(stretch: Stretch): Stretch {
  return stretch.kind === 'new' ? { kind: 'new', events: stretch.events.toSorted(compareKeys) } : stretch
}

function rowLine(row: Row, caughtUp: boolean): string {
  return row.kind === 'diagnostic' ? renderRow(row) : renderRow(row, `,"caughtUp":${String(caughtUp)}`)
}
