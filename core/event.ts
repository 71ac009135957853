import type { AppId } from './app-id.js'
import type { StreamId } from './stream-id.js'
import type { TagSet } from './tags.js'

/** Where an event stands in the order of all events: lamport, then stream id, then offset. */
export interface EventKey {
  readonly lamport: number
  readonly stream: StreamId
  readonly offset: number
}

/** An event as it is stored and delivered. Immutable; holds on to the buffer that it lies in. */
export interface StoredEvent extends EventKey {
  /** Microseconds since 1970-01-01 UTC by the wall clock of the publishing node. */
  readonly timestamp: number
  readonly tags: TagSet
  readonly appId: AppId
  /** The buffer that holds the payload's JSON text (UTF-8) from `payloadStart` to `payloadEnd` (exclusive). */
  readonly bytes: Uint8Array
  readonly payloadStart: number
  readonly payloadEnd: number
}

/** An event that an app wants stored. */
export interface NewEvent {
  readonly tags: TagSet
  /** JSON text in UTF-8: valid, no white space outside strings, no lone surrogates, within the nesting limit. */
  readonly payload: Uint8Array
}

/** What a publisher learns about one stored event. */
export interface Publication extends EventKey {
  readonly timestamp: number
}
