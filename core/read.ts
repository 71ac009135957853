import type { EventBatch } from './event-batch.js'
import type { OffsetMap } from './offset-map.js'
import type { TagSelection } from './tag-selection.js'

/**
 * `asc` and `desc`: by event key over all streams, exact reverses of each other. `stream-asc`: ascending within each
 * stream, streams in any order.
 */
export type EventOrder = 'asc' | 'desc' | 'stream-asc'

/** A read of stored events. */
export interface ReadRequest {
  readonly selection: TagSelection
  readonly order: EventOrder
  /** Exclusive; an absent stream is read from its first event. */
  readonly lowerBound: OffsetMap
  /** Inclusive; an absent stream is not read. */
  readonly upperBound: OffsetMap
  readonly signal?: AbortSignal | undefined
}

/** Something that events can be read from. Batches are never empty; ending the iteration early frees everything. */
export interface EventReader {
  read(request: ReadRequest): AsyncIterable<EventBatch>
}
