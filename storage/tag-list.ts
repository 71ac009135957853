import { compareCodePoints } from '../core/index.js'
import type { TagList } from './event-store.js'
import type { IndexReader } from './index-reader.js'
import type { StreamState } from './stream-state.js'
import type { StreamTable } from './stream-table.js'

/** Index entries that are looked at in all, and of one stream. */
const MOST_ENTRIES = 2048
const MOST_ENTRIES_OF_A_STREAM = 64

/** Unsealed events whose tags are looked at in all. */
const MOST_TAIL_EVENTS = 65_536

/** Tags that are kept while looking, for each one that is asked for: which come first is known only at the end. */
const KEPT_PER_TAG = 16

/**
 * Tags with a prefix, from what is newest: unsealed events, and then the newest blocks of each stream, of which the index
 * names the tags unless they are many.
 */
export async function listTags(
  { streams, index }: { readonly streams: StreamTable; readonly index: IndexReader },
  prefix: string,
  limit: number,
): Promise<TagList> {
  const found = new Found(prefix, limit)
  let entriesLeft = MOST_ENTRIES
  let eventsLeft = MOST_TAIL_EVENTS
  for (const state of streams.born()) {
    eventsLeft -= addTail(found, state, eventsLeft)
    const wanted = Math.min(entriesLeft, MOST_ENTRIES_OF_A_STREAM)
    if (wanted === 0) {
      if (state.record.blocks > 0) found.isComplete = false
      continue
    }
    const blocks = await index.newest(state, wanted)
    entriesLeft -= blocks.length
    if (blocks.length < state.record.blocks) found.isComplete = false
    for (const { tags } of blocks) {
      if (tags.kind === 'exact') found.add(tags.names)
      else found.isComplete = false
    }
  }
  return found.list()
}

/** @returns how many events were looked at */
function addTail(found: Found, state: StreamState, most: number): number {
  let looked = 0
  for (const block of state.tail().toReversed()) {
    for (const { lines } of block.parts) {
      if (looked + lines.tags.length > most) {
        found.isComplete = false
        return looked
      }
      looked += lines.tags.length
      let before: readonly string[] | undefined
      for (const tags of lines.tags) {
        // Neighbours often share their set.
        if (tags !== before) found.add(tags)
        before = tags
      }
    }
  }
  return looked
}

class Found {
  isComplete = true
  readonly #prefix: string
  readonly #limit: number
  readonly #tags = new Set<string>()

  constructor(prefix: string, limit: number) {
    this.#prefix = prefix
    this.#limit = limit
  }

  add(tags: Iterable<string>): void {
    for (const tag of tags) {
      if (!tag.startsWith(this.#prefix) || this.#tags.has(tag)) continue
      if (this.#tags.size >= this.#limit * KEPT_PER_TAG) {
        this.isComplete = false
        return
      }
      this.#tags.add(tag)
    }
  }

  list(): TagList {
    const tags = [...this.#tags].sort(compareCodePoints)
    return { tags: tags.slice(0, this.#limit), complete: this.isComplete && tags.length <= this.#limit }
  }
}
