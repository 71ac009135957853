import type { StoreMetrics, StreamTotals } from './event-store.js'
import type { StreamNames } from './stream-names.js'
import type { StreamState } from './stream-state.js'
import { totalsOf } from './stream-survey.js'
import type { StreamTable } from './stream-table.js'

/** What is held, in figures that are in memory anyway. */
export function contentOf(
  streams: StreamTable,
  names: StreamNames,
): Pick<StoreMetrics, 'own' | 'replicas' | 'ownStreams'> {
  const states = [...streams.born()]
  const own = states.filter((state) => streams.isOwn(state))
  return {
    own: sumOf(own),
    replicas: sumOf(states.filter((state) => !streams.isOwn(state))),
    ownStreams: own.map((state) => ({
      stream: state.stream,
      name: names.nameOfStream(state.number),
      totals: sumOf([state]),
    })),
  }
}

function sumOf(states: readonly StreamState[]): StreamTotals {
  const sum = { streams: states.length, events: 0, tailEvents: 0, blocks: 0, storedBytes: 0 }
  for (const state of states) {
    const { events, storedBytes } = totalsOf(state)
    sum.events += events
    sum.tailEvents += state.tailEvents
    sum.blocks += state.record.blocks
    sum.storedBytes += storedBytes
  }
  return sum
}
