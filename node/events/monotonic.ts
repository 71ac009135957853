import { renderRow, type LiveQuery, type Row } from '../../aql/index.js'
import { compareStreamIds, type EventKey } from '../../core/index.js'
import { LineCollector, offsetsLine, timeTravelLine } from './answer-lines.js'
import { eventRuns, followEvents, type FollowInput, type Stretch } from './follow.js'

/** Order of all events: lamport, stream, offset. */
export function compareKeys(a: EventKey, b: EventKey): number {
  return a.lamport - b.lamport || compareStreamIds(a.stream, b.stream) || a.offset - b.offset
}

/**
 * The key of the newest event inside `lowerBound` that the subscription selects: what the client has seen. Events that
 * sort before it would have to be undone.
 */
async function newestSeen(input: FollowInput): Promise<EventKey | undefined> {
  if (input.lowerBound.size === 0) return undefined
  const { selection, lowerBound, signal } = input
  const seen = input.events.read({ selection, order: 'desc', lowerBound: new Map(), upperBound: lowerBound, signal })
  for await (const batch of seen) return batch.event(0)
  return undefined
}

/**
 * The lines of `subscribe_monotonic`: like `subscribe`, but in the total order of events; an event that would have to
 * stand before a delivered one is withheld, and the answer ends by naming it.
 */
export async function* answerMonotonic(live: LiveQuery, input: FollowInput): AsyncGenerator<Buffer> {
  const order = new OrderKeeper(await newestSeen(input))
  for await (const stretch of followEvents(input)) {
    yield* inOrder(live, stretch, order)
    if (order.violatedBy !== undefined) {
      yield Buffer.from(timeTravelLine(order.violatedBy))
      return
    }
    if (stretch.kind === 'past') yield Buffer.from(offsetsLine(stretch.upTo))
  }
}

/** Watches that keys only rise. */
class OrderKeeper {
  #newest: EventKey | undefined
  violatedBy: EventKey | undefined

  constructor(newest: EventKey | undefined) {
    this.#newest = newest
  }

  /** Whether the event may be delivered. */
  allows(event: EventKey): boolean {
    if (this.#newest !== undefined && compareKeys(event, this.#newest) < 0) {
      this.violatedBy = event
      return false
    }
    this.#newest = event
    return true
  }
}

async function* inOrder(live: LiveQuery, stretch: Stretch, order: OrderKeeper): AsyncGenerator<Buffer> {
  const lines = new LineCollector()
  // The last row is kept back until it is known whether another one follows: only the last of a stretch is caught up.
  let last: Row | undefined
  for await (const run of eventRuns(stretch)) {
    for (const event of run) {
      if (!order.allows(event)) break
      for (const row of live.feed(event)) {
        const chunk = last === undefined ? undefined : lines.add(rowLine(last, false))
        last = row
        if (chunk !== undefined) yield chunk
      }
    }
    if (order.violatedBy !== undefined) break
  }
  const end = last === undefined ? undefined : lines.add(rowLine(last, stretch.kind !== 'past'))
  const rest = end ?? lines.take()
  if (rest !== undefined) yield rest
}

function rowLine(row: Row, caughtUp: boolean): string {
  return row.kind === 'diagnostic' ? renderRow(row) : renderRow(row, `,"caughtUp":${String(caughtUp)}`)
}
