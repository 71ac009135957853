import type { EventBatch, EventReader, LineEvent, OffsetMap, TagSelection } from '../../core/index.js'
import type { Progress } from './answer-lines.js'
import { LiveFeed } from './live-feed.js'
import type { LiveIndex } from './live-index.js'
import { joinOffsets } from './query.js'

export interface FollowInput {
  readonly events: EventReader & { offsets(): OffsetMap }
  readonly index: LiveIndex
  readonly selection: TagSelection
  /** Exclusive; may name offsets that do not exist yet. */
  readonly lowerBound: OffsetMap
  readonly signal: AbortSignal
  readonly progress: Progress
}

/** A stretch of a subscription: first the past, afterwards new events as they come, or missed ones from the store. */
export type Stretch =
  | { readonly kind: 'past' | 'missed'; readonly upTo: OffsetMap; readonly batches: AsyncIterable<EventBatch> }
  | { readonly kind: 'new'; readonly events: readonly LineEvent[] }

/**
 * The events of a subscription from its lower bound on, without end, none lost and none twice. A reader that falls
 * behind is served from the store until it has caught up, so that waiting events take bounded memory. Each stretch has
 * to be read before the next one is asked for.
 */
export async function* followEvents(input: FollowInput): AsyncGenerator<Stretch> {
  const { events, selection, signal } = input
  const feed = new LiveFeed()
  const remove = input.index.add(selection, feed)
  try {
    let reached: OffsetMap = input.lowerBound
    let kind: 'past' | 'missed' = 'past'
    while (!signal.aborted) {
      // In one turn, so that every event is either within `upTo` or offered to the feed.
      feed.restart()
      const upTo = events.offsets()
      yield {
        kind,
        upTo,
        batches: events.read({ selection, order: 'asc', lowerBound: reached, upperBound: upTo, signal }),
      }
      reached = joinOffsets(reached, upTo)
      kind = 'missed'
      reached = yield* newEvents(feed, reached, signal)
    }
  } finally {
    remove()
  }
}

/** New events until the reader is behind or the signal ends it; returns how far they reached. */
async function* newEvents(feed: LiveFeed, from: OffsetMap, signal: AbortSignal): AsyncGenerator<Stretch, OffsetMap> {
  const reached = new Map(from)
  for (;;) {
    const taken = await feed.take(signal)
    if (taken === undefined || taken === 'behind') return reached
    const fresh = taken.filter(({ stream, offset }) => offset > (reached.get(stream) ?? -1))
    if (fresh.length === 0) continue
    yield { kind: 'new', events: fresh }
    for (const { stream, offset } of fresh) reached.set(stream, offset)
  }
}

/** The events of a stretch in runs that lie in memory. */
export async function* eventRuns(stretch: Stretch): AsyncGenerator<Iterable<LineEvent>> {
  if (stretch.kind === 'new') {
    yield stretch.events
    return
  }
  for await (const batch of stretch.batches) yield eventsOf(batch)
}

function* eventsOf(batch: EventBatch): Generator<LineEvent> {
  for (let index = 0; index < batch.length; index++) yield batch.event(index)
}
