import type { PrunePreview, StreamStatus } from './event-store.js'
import type { IndexReader } from './index-reader.js'
import { isEphemeral, PruneCursor, type Retention } from './retention.js'
import type { StreamState } from './stream-state.js'

export interface StatusRequest {
  readonly state: StreamState
  readonly own: boolean
  readonly name: string | undefined
  readonly retention: Retention
  readonly index: IndexReader
  readonly nowMicros: number
  /** Whether pruning by age waits because the wall clock jumped. */
  readonly clockJumped: boolean
}

/** A stream as operators see it. */
export async function describeStream(request: StatusRequest): Promise<StreamStatus> {
  const { state, own, name, retention } = request
  const { record } = state
  return {
    stream: state.stream,
    name,
    number: state.number,
    own,
    events: state.tailEnd - record.firstOffset,
    firstOffset: record.firstOffset,
    nextOffset: state.nextOffset,
    blocks: record.blocks,
    tailEvents: state.tailEvents,
    storedBytes: record.storedBytes + state.tailStoredBytes,
    oldestTimestamp: await oldestTimestamp(request),
    newestTimestamp: state.tailEnd > record.firstOffset ? state.newestTimestamp : undefined,
    retention,
    nextPrune: await previewPrune(request),
  }
}

async function oldestTimestamp({ state, index }: StatusRequest): Promise<number | undefined> {
  for await (const block of index.oldest(state)) return block.minTimestamp
  return state.tail()[0]?.firstTimestamp
}

async function previewPrune(request: StatusRequest): Promise<PrunePreview> {
  const { state, retention, index, nowMicros, clockJumped } = request
  const dropped = { blocks: 0, events: 0, storedBytes: 0 }
  if (!isEphemeral(retention)) return { ...dropped, heldBackBy: 'no-limit' }
  const effective = clockJumped ? { ...retention, maxAgeMicros: Infinity } : retention
  const cursor = new PruneCursor(totalsOf(state), effective, nowMicros)
  for await (const block of index.oldest(state)) {
    if (!cursor.mayDrop(block)) {
      const byAge = clockJumped && block.maxTimestamp < nowMicros - retention.maxAgeMicros
      return { ...dropped, heldBackBy: byAge ? 'clock-jump' : 'within-limits' }
    }
    dropped.blocks++
    dropped.events += block.count
    dropped.storedBytes += block.storedBytes
  }
  return { ...dropped, heldBackBy: 'unsealed' }
}

/** What retention starts from. */
export function totalsOf(state: StreamState): { readonly events: number; readonly storedBytes: number } {
  return {
    events: state.tailEnd - state.record.firstOffset,
    storedBytes: state.record.storedBytes + state.tailStoredBytes,
  }
}
