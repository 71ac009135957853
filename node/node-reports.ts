import { peerIdOfNode } from '../core/index.js'
import type { TopicUsage } from '../storage/index.js'

/** Who a node is. */
export interface IdentityReport {
  readonly nodeId: string
  /** The same as libp2p writes it: `12D3KooW…`. */
  readonly peerId: string
  /** Grows each time the node goes on from an older backup. */
  readonly epoch: number
}

/** A topic that has a store. */
export interface TopicReport {
  readonly name: string
  readonly bytesOnDisk: number
  /** Whether it is the one that the node works with. */
  readonly active: boolean
}

/** What reading the configuration again has changed; settings by the names that the configuration has for them. */
export interface ReloadReport {
  /** In force from now on. */
  readonly applied: readonly string[]
  /** In force after the next start. */
  readonly waiting: readonly string[]
  /** What is odd about the configuration, each with its place. */
  readonly warnings: readonly string[]
}

export function reportIdentity(nodeId: string, epoch: number): IdentityReport {
  return { nodeId, peerId: peerIdOfNode(nodeId) ?? '', epoch }
}

export function reportTopic({ topic, bytesOnDisk }: TopicUsage, active: string): TopicReport {
  return { name: topic, bytesOnDisk, active: topic === active }
}
