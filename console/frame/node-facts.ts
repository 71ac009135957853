import { createContext } from 'preact'
import { useContext } from 'preact/hooks'
import type { NodeAlarmReport, SwarmReport } from '../../client/index.js'
import type { Watched } from '../live/use-polled.js'

/** Who the node is and what it sees of its swarm: what the header shows, and pages need too. */
export interface NodeFacts {
  readonly swarm: SwarmReport
  readonly alarms: readonly NodeAlarmReport[]
}

const FactsContext = createContext<Watched<NodeFacts> | undefined>(undefined)

export const FactsProvider = FactsContext.Provider

/** The frame asks for them, so that pages need not. */
export function useFacts(): Watched<NodeFacts> {
  const facts = useContext(FactsContext)
  if (facts === undefined) throw new TypeError('used outside of the page')
  return facts
}

/** The node that serves the page, once it is known. */
export function useOwnNode(): string | undefined {
  return useFacts().value?.swarm.nodeId
}

/** `1 alarm`. */
export function alarmsText(alarms: readonly NodeAlarmReport[]): string {
  return `${String(alarms.length)} alarm${alarms.length === 1 ? '' : 's'}`
}
