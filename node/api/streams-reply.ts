import type { StreamStatus } from '../../storage/event-store.js'

/** `{"streams":[…]}`; what is unlimited or unknown is `null`. */
export function renderStreams(streams: readonly StreamStatus[]): string {
  return JSON.stringify({ streams: streams.map(toReply) })
}

function toReply({ name, oldestTimestamp, newestTimestamp, ...status }: StreamStatus): object {
  // JSON writes infinite limits as null by itself.
  return {
    ...status,
    name: name ?? null,
    oldestTimestamp: oldestTimestamp ?? null,
    newestTimestamp: newestTimestamp ?? null,
  }
}
