import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Store } from '../storage/index.js'
import type { Router } from './events/router.js'

/** Events that are looked at: the newest of this node. */
const MOST_EVENTS = 10_000

/** Events between two turns of other work: some milliseconds. */
const EVENTS_PER_TURN = 500

/** Events of one stream that other routes would send to another. */
export interface RouteMove {
  /** Names of streams. */
  readonly from: string
  readonly into: string
  readonly events: number
}

export interface RoutingPreview {
  /** Events that were looked at. */
  readonly looked: number
  /** Most events first. */
  readonly moves: readonly RouteMove[]
}

/** Which of the newest own events would go elsewhere if they were published again under other routes. */
export async function previewRoutes(store: Store, inForce: Router, draft: Router): Promise<RoutingPreview> {
  const upperBound = new Map([...store.offsets()].filter(([stream]) => stream.startsWith(store.nodeId)))
  const moves = new Map<string, RouteMove>()
  let looked = 0
  const request = { selection: { kind: 'all' }, order: 'desc', lowerBound: new Map(), upperBound } as const
  for await (const batch of store.read(request)) {
    for (let at = 0; at < batch.length && looked < MOST_EVENTS; at++) {
      const { tags, appId } = batch.event(at)
      const from = inForce.decide(tags, appId).into
      const into = draft.decide(tags, appId).into
      if (from !== into) {
        const name = JSON.stringify([from, into])
        moves.set(name, { from, into, events: (moves.get(name)?.events ?? 0) + 1 })
      }
      if (++looked % EVENTS_PER_TURN === 0) await nextTurn()
    }
    if (looked >= MOST_EVENTS) break
  }
  return { looked, moves: [...moves.values()].sort((a, b) => b.events - a.events) }
}
