import {
  compareStreamIds,
  compileSelection,
  type EventBatch,
  type LineEvent,
  type NodeId,
  type TagSelection,
} from '../../core/index.js'

/** Something that wants to hear of events as they become durable. Must not throw. */
export interface LiveSubscriber {
  offer(event: LineEvent): void
}

interface Entry {
  readonly subscriber: LiveSubscriber
  readonly matches: (event: LineEvent) => boolean
  /** Guards against asking twice when an event has several of the entry's tags. */
  asked: LineEvent | undefined
}

/**
 * Hands new events to the subscriptions that they match. An entry is found through tags of which every matching event
 * has at least one, so that the cost of an event grows with the subscriptions that could match it and not with all.
 */
export class LiveIndex {
  readonly #ownNode: NodeId
  readonly #byTag = new Map<string, Set<Entry>>()
  readonly #always = new Set<Entry>()
  #size = 0

  constructor(ownNode: NodeId) {
    this.#ownNode = ownNode
  }

  /** Subscriptions in the index. */
  get size(): number {
    return this.#size
  }

  /** @returns removes the subscriber; idempotent */
  add(selection: TagSelection, subscriber: LiveSubscriber): () => void {
    const entry: Entry = { subscriber, matches: compileSelection(selection, this.#ownNode), asked: undefined }
    const tags = triggerTags(selection)
    if (tags === undefined) this.#always.add(entry)
    else for (const tag of tags) this.#bucket(tag).add(entry)
    this.#size += 1
    let added = true
    return () => {
      if (!added) return
      added = false
      this.#size -= 1
      this.#always.delete(entry)
      for (const tag of tags ?? []) this.#removeFrom(tag, entry)
    }
  }

  /** Offers the events of one commit in the order of their keys. */
  dispatch(batches: readonly EventBatch[]): void {
    if (this.#size === 0) return
    for (const event of inKeyOrder(batches)) {
      this.#offer(this.#always, event)
      if (this.#byTag.size === 0) continue
      for (const tag of event.tags) {
        const bucket = this.#byTag.get(tag)
        if (bucket !== undefined) this.#offer(bucket, event)
      }
    }
  }

  #offer(entries: ReadonlySet<Entry>, event: LineEvent): void {
    for (const entry of entries) {
      if (entry.asked === event) continue
      entry.asked = event
      if (entry.matches(event)) entry.subscriber.offer(event)
    }
  }

  #bucket(tag: string): Set<Entry> {
    let bucket = this.#byTag.get(tag)
    if (bucket === undefined) this.#byTag.set(tag, (bucket = new Set()))
    return bucket
  }

  #removeFrom(tag: string, entry: Entry): void {
    const bucket = this.#byTag.get(tag)
    bucket?.delete(entry)
    if (bucket?.size === 0) this.#byTag.delete(tag)
  }
}

/** Lamports rise within a stream; events of different nodes in one commit may share one. */
function inKeyOrder(batches: readonly EventBatch[]): readonly LineEvent[] {
  const events: LineEvent[] = []
  for (const batch of batches) {
    for (let index = 0; index < batch.length; index++) events.push(batch.event(index))
  }
  if (batches.length <= 1) return events
  return events.sort((a, b) => a.lamport - b.lamport || compareStreamIds(a.stream, b.stream))
}

/** Tags of which every event that matches has at least one; `undefined` when there is no such set. */
export function triggerTags(selection: TagSelection): ReadonlySet<string> | undefined {
  switch (selection.kind) {
    case 'none':
      return new Set()
    case 'tags':
      return selection.anyOf
    case 'and':
      return selection.terms
        .map(triggerTags)
        .filter((tags) => tags !== undefined)
        .reduce<ReadonlySet<string> | undefined>(
          (best, tags) => (best === undefined || tags.size < best.size ? tags : best),
          undefined,
        )
    case 'or': {
      const union = new Set<string>()
      for (const term of selection.terms) {
        const tags = triggerTags(term)
        if (tags === undefined) return undefined
        for (const tag of tags) union.add(tag)
      }
      return union
    }
    case 'all':
    case 'appId':
    case 'local':
    case 'time':
    case 'key':
      return undefined
  }
}
