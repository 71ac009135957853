import type { AppId } from './app-id.js'
import { LINE_TRAILER_LENGTH, parseLineHeader } from './event-line.js'
import type { StoredEvent } from './event.js'
import type { StreamId } from './stream-id.js'
import type { TagSet } from './tags.js'

/** The parts of an {@link EventBatch}; arrays run parallel, one entry per line of the buffer. */
export interface EventBatchParts {
  readonly stream: StreamId
  /** Whole event lines (see `event-line.ts`), one after the other. */
  readonly bytes: Buffer
  /** Offset of the event in line 0; offsets rise by one per line. */
  readonly firstOffset: number
  /** Where each line begins in `bytes`, and at last where the last one ends: lines + 1 entries. */
  readonly starts: Uint32Array
  /** Where each payload begins in `bytes`. */
  readonly payloads: Uint32Array
  readonly lamports: Float64Array
  /** Microseconds since 1970. */
  readonly timestamps: Float64Array
  /** Lines that belong to the batch, in the order in which they are to be delivered; all, ascending, when absent. */
  readonly selected?: Uint32Array | undefined
  /** Tags and app of each line where they are at hand already; else they are read from the lines when asked for. */
  readonly tags?: readonly TagSet[] | undefined
  readonly appIds?: readonly AppId[] | undefined
}

/** Events of one stream as they lie in memory: lines of one buffer and a choice among them. Immutable. */
export class EventBatch implements EventBatchParts {
  readonly stream: StreamId
  readonly bytes: Buffer
  readonly firstOffset: number
  readonly starts: Uint32Array
  readonly payloads: Uint32Array
  readonly lamports: Float64Array
  readonly timestamps: Float64Array
  readonly selected: Uint32Array | undefined
  readonly tags: readonly TagSet[] | undefined
  readonly appIds: readonly AppId[] | undefined
  /** Events in the batch. */
  readonly length: number

  constructor(parts: EventBatchParts) {
    this.stream = parts.stream
    this.bytes = parts.bytes
    this.firstOffset = parts.firstOffset
    this.starts = parts.starts
    this.payloads = parts.payloads
    this.lamports = parts.lamports
    this.timestamps = parts.timestamps
    this.selected = parts.selected
    this.tags = parts.tags
    this.appIds = parts.appIds
    this.length = parts.selected?.length ?? parts.payloads.length
  }

  /** Line number of the `index`-th event of the batch. */
  line(index: number): number {
    return this.selected === undefined ? index : (this.selected[index] ?? -1)
  }

  /** The `index`-th event of the batch, 0 ≤ index < length. */
  event(index: number): LineEvent {
    return new LineEvent(this, this.line(index))
  }

  /** The same lines with another choice among them. */
  select(selected: Uint32Array | undefined): EventBatch {
    const { stream, bytes, firstOffset, starts, payloads, lamports, timestamps } = this
    return new EventBatch({ stream, bytes, firstOffset, starts, payloads, lamports, timestamps, selected })
  }

  /** The lines of the batch, each with its line feed, as few slices of `bytes` as possible, in order. */
  *slices(): Generator<Buffer> {
    if (this.selected === undefined) {
      if (this.length > 0) yield this.bytes.subarray(this.starts[0], this.starts[this.length])
      return
    }
    let at = 0
    while (at < this.length) {
      const first = this.line(at)
      let last = first
      while (++at < this.length && this.line(at) === last + 1) last++
      yield this.bytes.subarray(this.starts[first], this.starts[last + 1])
    }
  }
}

/** An event read from its line; what the arrays of the batch do not hold is parsed on first use. */
export class LineEvent implements StoredEvent {
  readonly bytes: Buffer
  readonly stream: StreamId
  readonly lamport: number
  readonly offset: number
  readonly timestamp: number
  readonly payloadStart: number
  readonly payloadEnd: number
  readonly #lineStart: number
  #header: { readonly tags: TagSet; readonly appId: string } | undefined

  constructor(batch: EventBatch, line: number) {
    this.bytes = batch.bytes
    this.stream = batch.stream
    this.offset = batch.firstOffset + line
    this.lamport = batch.lamports[line] ?? 0
    this.timestamp = batch.timestamps[line] ?? 0
    this.payloadStart = batch.payloads[line] ?? 0
    this.payloadEnd = (batch.starts[line + 1] ?? 0) - LINE_TRAILER_LENGTH
    this.#lineStart = batch.starts[line] ?? 0
    const tags = batch.tags?.[line]
    const appId = batch.appIds?.[line]
    if (tags !== undefined && appId !== undefined) this.#header = { tags, appId }
  }

  /** The whole line with its line feed. */
  get line(): Buffer {
    return this.bytes.subarray(this.#lineStart, this.payloadEnd + LINE_TRAILER_LENGTH)
  }

  get tags(): TagSet {
    return this.#parsed().tags
  }

  get appId(): string {
    return this.#parsed().appId
  }

  #parsed(): { readonly tags: TagSet; readonly appId: string } {
    return (this.#header ??= parseLineHeader(this.bytes.toString('utf8', this.#lineStart, this.payloadStart)))
  }
}
