import type { AppId } from './app-id.js'
import { compareStreamIds, type NodeId, type StreamId } from './stream-id.js'

/**
 * Which events are meant, as a plain value: `aql` compiles tag expressions to it, routing matches by it, and `storage`
 * searches its index by it. Ranges are half open, `from` inclusive and `to` exclusive; an absent end is unbounded.
 */
export type TagSelection =
  | { readonly kind: 'all' }
  | { readonly kind: 'none' }
  /** Events with at least one of these tags (NFC). */
  | { readonly kind: 'tags'; readonly anyOf: ReadonlySet<string> }
  | { readonly kind: 'appId'; readonly appId: AppId }
  /** Events in streams of this node. */
  | { readonly kind: 'local' }
  /** Microseconds since 1970, any integer or infinity. */
  | { readonly kind: 'time'; readonly from: number; readonly to: number }
  /** By (lamport, stream id). */
  | { readonly kind: 'key'; readonly from?: KeyBound | undefined; readonly to?: KeyBound | undefined }
  | { readonly kind: 'and'; readonly terms: readonly TagSelection[] }
  | { readonly kind: 'or'; readonly terms: readonly TagSelection[] }

/** A place between events: before the event of this lamport in this stream. `lamport` may exceed 2^53 (then as a double). */
export interface KeyBound {
  readonly lamport: number
  readonly stream: StreamId
}

/** What a selection looks at. */
export interface SelectableEvent {
  readonly lamport: number
  readonly stream: StreamId
  readonly timestamp: number
  readonly tags: readonly string[]
  readonly appId: AppId
}

/** Every event. */
export const SELECT_ALL: TagSelection = { kind: 'all' }

/** A predicate for single events. Cost per event: O(size of the selection), hash look-ups for sets of tags. */
export function compileSelection(selection: TagSelection, ownNode: NodeId): (event: SelectableEvent) => boolean {
  switch (selection.kind) {
    case 'all':
      return () => true
    case 'none':
      return () => false
    case 'tags':
      return (event) => event.tags.some((tag) => selection.anyOf.has(tag))
    case 'appId':
      return (event) => event.appId === selection.appId
    case 'local':
      return (event) => event.stream.startsWith(ownNode)
    case 'time':
      return (event) => event.timestamp >= selection.from && event.timestamp < selection.to
    case 'key':
      return (event) => isInKeyRange(event, selection.from, selection.to)
    case 'and': {
      const terms = selection.terms.map((term) => compileSelection(term, ownNode))
      return (event) => terms.every((term) => term(event))
    }
    case 'or': {
      const terms = selection.terms.map((term) => compileSelection(term, ownNode))
      return (event) => terms.some((term) => term(event))
    }
  }
}

/** Whether (lamport, stream) lies in the half-open range. */
export function isInKeyRange(
  key: { readonly lamport: number; readonly stream: StreamId },
  from: KeyBound | undefined,
  to: KeyBound | undefined,
): boolean {
  return (from === undefined || !isBefore(key, from)) && (to === undefined || isBefore(key, to))
}

function isBefore(key: { readonly lamport: number; readonly stream: StreamId }, bound: KeyBound): boolean {
  return key.lamport !== bound.lamport ? key.lamport < bound.lamport : compareStreamIds(key.stream, bound.stream) < 0
}
