/** Who a node is. */
export interface IdentityInfo {
  readonly nodeId: string
  /** The same as libp2p writes it: `12D3KooW…`. */
  readonly peerId: string
  /** Grows each time the node goes on from an older backup. */
  readonly epoch: number
}

/** A topic that has a store on the node. */
export interface TopicInfo {
  readonly name: string
  readonly bytesOnDisk: number
  /** Whether it is the one that the node works with. */
  readonly active: boolean
}
