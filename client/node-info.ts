/** Who a node is. */
export interface IdentityInfo {
  readonly nodeId: string
  /** The same as libp2p writes it: `12D3KooW…`. */
  readonly peerId: string
  /** Grows each time the node goes on from an older backup. */
  readonly epoch: number
}

/** Whether a node does all its work. */
export interface Readiness {
  readonly ready: boolean
  /** Sentences for operators. */
  readonly reasons: readonly string[]
}

/** What reading its configuration again has changed on a node; settings by name. */
export interface ReloadInfo {
  /** In force from now on. */
  readonly applied: readonly string[]
  /** In force after the next start. */
  readonly waiting: readonly string[]
  /** What is odd about the configuration, each with its place. */
  readonly warnings: readonly string[]
}

/** A topic that has a store on the node. */
export interface TopicInfo {
  readonly name: string
  readonly bytesOnDisk: number
  /** Whether it is the one that the node works with. */
  readonly active: boolean
}
