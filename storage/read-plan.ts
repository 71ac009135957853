import type { ReadRequest } from '../core/index.js'
import type { ReadPlan } from './event-store.js'
import type { IndexReader } from './index-reader.js'
import type { StreamTable } from './stream-table.js'

/** What a read would touch, from the index alone. */
export async function planRead(request: ReadRequest, streams: StreamTable, index: IndexReader): Promise<ReadPlan> {
  const { selection, lowerBound, upperBound } = request
  const plan = { streams: 0, blocks: 0, blocksSkipped: 0, tailEvents: 0 }
  for (const [stream, upper] of upperBound) {
    const state = streams.get(stream)
    if (state === undefined) continue
    const { firstOffset, sealedEnd } = state.record
    const from = Math.max((lowerBound.get(stream) ?? -1) + 1, firstOffset)
    const to = Math.min(upper + 1, state.tailEnd)
    if (from >= to) continue
    plan.streams++
    plan.tailEvents += Math.max(0, to - Math.max(from, sealedEnd))
    const range = { state, selection, order: 'asc', from, to: Math.min(to, sealedEnd) } as const
    for await (const page of index.pages(range)) {
      plan.blocks += page.blocks.length
      plan.blocksSkipped += page.skipped
    }
  }
  return plan
}
