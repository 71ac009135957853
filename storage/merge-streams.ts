import { compareStreamIds, type EventBatch, type EventOrder, type StreamId } from '../core/index.js'

/** The events of one stream, in the order asked for: for `desc` the newest batch first, each with its lines reversed. */
export interface StreamSource {
  readonly stream: StreamId
  readonly batches: AsyncIterable<EventBatch>
}

/** Sources up to which the next batch is asked for while the current one is consumed; beyond, memory counts more. */
const MAX_PREFETCHED_SOURCES = 16

/**
 * All events of the sources in one total order: by lamport, then stream; `desc` is the exact reverse. For `stream-asc`
 * one source follows the other. Batches are passed on as they are where the order allows it, and else cut into runs.
 * Ending the iteration early ends the sources.
 */
export async function* mergeStreams(sources: readonly StreamSource[], order: EventOrder): AsyncGenerator<EventBatch> {
  if (order === 'stream-asc' || sources.length === 1) {
    for (const source of sources) yield* readAhead(source)
    return
  }
  const cursors = sources.map((source) => new Cursor(source, order, sources.length <= MAX_PREFETCHED_SOURCES))
  try {
    const heads: Cursor[] = []
    await Promise.all(cursors.map((cursor) => cursor.advance()))
    for (const cursor of cursors) if (cursor.hasBatch) push(heads, cursor)
    for (let first = heads[0]; first !== undefined; first = heads[0]) {
      yield first.takeUpTo(second(heads))
      if (first.isAtEnd) await first.advance()
      if (first.hasBatch) siftDown(heads, 0)
      else pop(heads)
    }
  } finally {
    await Promise.allSettled(cursors.map((cursor) => cursor.close()))
  }
}

async function* readAhead({ batches }: StreamSource): AsyncGenerator<EventBatch> {
  const iterator = batches[Symbol.asyncIterator]()
  let next: Promise<IteratorResult<EventBatch>> | undefined
  try {
    let result = await iterator.next()
    while (result.done !== true) {
      next = iterator.next()
      silence(next)
      yield result.value
      result = await next
    }
  } finally {
    await endIterator(iterator, next)
  }
}

/** One source and the place in its current batch. */
class Cursor {
  readonly stream: StreamId
  readonly #iterator: AsyncIterator<EventBatch>
  readonly #descending: boolean
  readonly #prefetches: boolean
  #batch: EventBatch | undefined
  /** Index of the next event of the batch. */
  #at = 0
  #next: Promise<IteratorResult<EventBatch>> | undefined

  constructor({ stream, batches }: StreamSource, order: EventOrder, prefetches: boolean) {
    this.stream = stream
    this.#iterator = batches[Symbol.asyncIterator]()
    this.#descending = order === 'desc'
    this.#prefetches = prefetches
  }

  get hasBatch(): boolean {
    return this.#batch !== undefined
  }

  get isAtEnd(): boolean {
    return this.#batch === undefined || this.#at === this.#batch.length
  }

  /** Goes on to the next batch of the source. */
  async advance(): Promise<void> {
    const pending = this.#next ?? this.#iterator.next()
    this.#next = undefined
    const result = await pending
    this.#batch = result.done === true ? undefined : result.value
    this.#at = 0
    if (this.#batch !== undefined && this.#prefetches) {
      this.#next = this.#iterator.next()
      silence(this.#next)
    }
  }

  /** Whether its next event comes before that of the other. */
  isBefore(other: Cursor): boolean {
    return this.#precedes(this.#at, other)
  }

  /** The longest run of events that come before the next event of the other. */
  takeUpTo(other: Cursor | undefined): EventBatch {
    const batch = this.#batch
    if (batch === undefined) throw new TypeError('there is nothing to take')
    const from = this.#at
    const to = other === undefined ? batch.length : this.#runEnd(batch.length, other)
    this.#at = to
    if (from === 0 && to === batch.length) return batch
    return batch.select(batch.selected?.subarray(from, to) ?? rangeOf(from, to))
  }

  async close(): Promise<void> {
    await endIterator(this.#iterator, this.#next)
  }

  /** Lamports rise within a stream: steps that double, then halving. */
  #runEnd(length: number, other: Cursor): number {
    let inside = this.#at
    let step = 1
    while (inside + step < length && this.#precedes(inside + step, other)) {
      inside += step
      step *= 2
    }
    let outside = Math.min(length, inside + step)
    while (outside - inside > 1) {
      const middle = (inside + outside) >>> 1
      if (this.#precedes(middle, other)) inside = middle
      else outside = middle
    }
    return outside
  }

  #precedes(index: number, other: Cursor): boolean {
    const a = this.#lamport(index)
    const b = other.#lamport(other.#at)
    if (a === b) return compareStreamIds(this.stream, other.stream) < 0 !== this.#descending
    return a < b !== this.#descending
  }

  #lamport(index: number): number {
    const batch = this.#batch
    return batch?.lamports[batch.line(index)] ?? 0
  }
}

/** Ends a source; what it was asked for and never delivered goes first, since a generator answers in order. */
async function endIterator(iterator: AsyncIterator<EventBatch>, pending: Promise<unknown> | undefined): Promise<void> {
  await pending?.catch(ignore)
  await iterator.return?.()
}

/** A failure that nobody waits for yet is no unhandled one: whoever takes the promise up sees it. */
function silence(promise: Promise<unknown>): void {
  promise.catch(ignore)
}

function ignore(): void {
  // The failure is seen elsewhere, or nobody wants the result any more.
}

function rangeOf(from: number, to: number): Uint32Array {
  const lines = new Uint32Array(to - from)
  for (let at = from; at < to; at++) lines[at - from] = at
  return lines
}

// A binary heap: the cursor whose event comes next is heads[0].

function push(heads: Cursor[], cursor: Cursor): void {
  let at = heads.length
  heads.push(cursor)
  while (at > 0) {
    const parent = (at - 1) >>> 1
    const above = heads[parent]
    if (above === undefined || !cursor.isBefore(above)) break
    heads[at] = above
    heads[parent] = cursor
    at = parent
  }
}

/** Removes heads[0]. */
function pop(heads: Cursor[]): void {
  const last = heads.pop()
  if (last === undefined || heads.length === 0) return
  heads[0] = last
  siftDown(heads, 0)
}

/** The one that comes after heads[0]. */
function second(heads: readonly Cursor[]): Cursor | undefined {
  const [, left, right] = heads
  return left !== undefined && right !== undefined && right.isBefore(left) ? right : left
}

function siftDown(heads: Cursor[], from: number): void {
  const moved = heads[from]
  if (moved === undefined) return
  let at = from
  for (;;) {
    const left = heads[2 * at + 1]
    const right = heads[2 * at + 2]
    const child = left !== undefined && right !== undefined && right.isBefore(left) ? 2 * at + 2 : 2 * at + 1
    const below = heads[child]
    if (!below?.isBefore(moved)) break
    heads[at] = below
    at = child
  }
  heads[at] = moved
}
