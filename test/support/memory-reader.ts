import {
  compareStreamIds,
  compileSelection,
  EventBatch,
  LINE_TRAILER,
  renderLineHeader,
  toTagSet,
  type EventReader,
  type NodeId,
  type ReadRequest,
  type StoredEvent,
  type StreamId,
} from '../../core/index.js'

/** An event for a {@link MemoryReader}; the payload is JSON text without white space. */
export interface MemoryEvent {
  readonly lamport: number
  readonly stream: StreamId
  readonly offset: number
  readonly timestamp: number
  readonly tags: readonly string[]
  readonly appId: string
  readonly payload: string
}

/** Events in an array, read as the store reads: selected, bounded, in order, in batches of one stream each. */
export class MemoryReader implements EventReader {
  readonly events: readonly StoredEvent[]
  readonly #batches: readonly EventBatch[]
  readonly #nodeId: NodeId
  /** Batches handed out so far, to see how far a query read. */
  batchesRead = 0

  constructor(events: readonly MemoryEvent[], nodeId: NodeId) {
    this.#batches = events.map(toBatch)
    this.events = this.#batches.map((batch) => batch.event(0))
    this.#nodeId = nodeId
  }

  async *read({ selection, order, lowerBound, upperBound, signal }: ReadRequest): AsyncGenerator<EventBatch> {
    const matches = compileSelection(selection, this.#nodeId)
    const chosen = this.#batches.filter((batch) => {
      const event = batch.event(0)
      const within =
        event.offset > (lowerBound.get(event.stream) ?? -1) && event.offset <= (upperBound.get(event.stream) ?? -1)
      return within && matches(event)
    })
    chosen.sort((a, b) => compareEvents(a.event(0), b.event(0)))
    if (order === 'desc') chosen.reverse()
    for (const batch of chosen) {
      signal?.throwIfAborted()
      this.batchesRead += 1
      yield batch
    }
  }
}

function compareEvents(a: StoredEvent, b: StoredEvent): number {
  return a.lamport - b.lamport || compareStreamIds(a.stream, b.stream) || a.offset - b.offset
}

function toBatch(event: MemoryEvent): EventBatch {
  const tagsJson = JSON.stringify(toTagSet(event.tags))
  const header = renderLineHeader({ ...event, tagsJson })
  const bytes = Buffer.from(`${header}${event.payload}${LINE_TRAILER}`)
  return new EventBatch({
    stream: event.stream,
    bytes,
    firstOffset: event.offset,
    starts: Uint32Array.of(0, bytes.length),
    payloads: Uint32Array.of(Buffer.byteLength(header)),
    lamports: Float64Array.of(event.lamport),
    timestamps: Float64Array.of(event.timestamp),
  })
}
