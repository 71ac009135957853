import type { NodeId } from '../../core/index.js'
import type { Carried } from './link.js'
import type { SeededRandom } from './seeded-random.js'
import type { VirtualTime } from './virtual-time.js'

/** What the nodes of a network in memory see of it. */
export interface Wire<Node> {
  readonly time: VirtualTime
  readonly random: SeededRandom
  /** `undefined` when it does not run. */
  node(nodeId: NodeId): Node | undefined
  /** Everybody to whom there should be a connection. */
  neighboursOf(nodeId: NodeId): Iterable<NodeId>
  /** Sends over the connection, if there is one; `arrive` is called at the receiver if it gets there. */
  carry(from: NodeId, to: NodeId, bytes: number, kind: 'broadcast' | 'stream', arrive: (at: Node) => void): Carried
  /** Ends a connection on purpose; it may come again after `untilMs`. */
  cut(from: NodeId, to: NodeId, untilMs: number): void
  /** Ends a node. */
  kill(nodeId: NodeId): void
}
