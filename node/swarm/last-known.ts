import type { NodeId } from '../../core/index.js'
import type { PeerFailure, PeerSync } from '../../replication/index.js'
import type { SwarmLink } from '../api/index.js'

/** Nodes that are remembered, and for how long after they were last connected, µs: a day. */
const MOST_NODES = 256
const LONGEST_MICROS = 86_400 * 1_000_000

/**
 * What nodes held when they were last heard, so that it can still be told when they are gone; also of those that listen
 * nowhere, which nobody looks for. In memory only.
 */
export class LastKnown {
  readonly #copies = new Map<NodeId, PeerSync>()
  readonly #gone = new Map<NodeId, PeerFailure>()

  /** Connected nodes, as they are now. */
  note(peers: readonly PeerSync[]): void {
    for (const peer of peers) {
      this.#gone.delete(peer.nodeId)
      if (peer.comparedMicros === undefined) continue
      this.#copies.delete(peer.nodeId)
      this.#copies.set(peer.nodeId, peer)
    }
    forgetOldest(this.#copies)
  }

  /** A connection has ended. */
  left(nodeId: NodeId, why: PeerFailure): void {
    this.#gone.delete(nodeId)
    this.#gone.set(nodeId, why)
    forgetOldest(this.#gone)
  }

  of(nodeId: NodeId | undefined): PeerSync | undefined {
    return nodeId === undefined ? undefined : this.#copies.get(nodeId)
  }

  /** Nodes that are gone and not among those that are known otherwise. */
  absent(known: ReadonlySet<NodeId | undefined>, nowMicros: number): readonly SwarmLink[] {
    return [...this.#gone].flatMap(([nodeId, failure]): SwarmLink[] => {
      if (known.has(nodeId) || failure.atMicros < nowMicros - LONGEST_MICROS) return []
      return [
        {
          nodeId,
          source: 'incoming',
          state: 'waiting',
          addresses: [],
          direction: undefined,
          sinceMicros: failure.atMicros,
          nextDialMicros: undefined,
          failures: 0,
          failure,
          roundTripMs: undefined,
        },
      ]
    })
  }
}

function forgetOldest(nodes: Map<NodeId, unknown>): void {
  for (const oldest of nodes.keys()) {
    if (nodes.size <= MOST_NODES) return
    nodes.delete(oldest)
  }
}
