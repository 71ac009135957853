import type { EventLine } from '../../client/index.js'
import type { Load } from '../live/poller.js'

/** What stands at an offset of a stream: an event, or why there is none. */
export type Found =
  | { readonly kind: 'event'; readonly event: EventLine }
  | { readonly kind: 'pruned'; readonly firstOffset: number }
  | { readonly kind: 'ahead'; readonly nextOffset: number }
  | { readonly kind: 'unknown' }

/** Finds one event by its place, with bounds that leave nothing else. */
export function findEvent(stream: string, offset: number): Load<Found> {
  return async (client, signal) => {
    const streams = await client.streams(signal)
    const report = streams.find((candidate) => candidate.stream === stream)
    if (report === undefined) return { kind: 'unknown' }
    if (offset < report.firstOffset) return { kind: 'pruned', firstOffset: report.firstOffset }
    if (offset >= report.nextOffset) return { kind: 'ahead', nextOffset: report.nextOffset }
    const bounds = { lowerBound: { [stream]: offset - 1 }, upperBound: { [stream]: offset }, signal }
    for await (const line of client.query('FROM allEvents', bounds)) {
      if (line.type === 'event') return { kind: 'event', event: line }
    }
    return { kind: 'unknown' }
  }
}
