/** How many connections a node has. */
export interface SwarmSize {
  /** From so many on nobody is dialled who is not needed: gossip goes over several hops. */
  readonly enough: number
  /** Beyond so many, others make room for newcomers: who knows nobody else has to get in, and learns of others here. */
  readonly lasting: number
  readonly most: number
}

/** What every node uses. A gossip mesh needs a dozen; the rest is for nodes that many others are configured with. */
export const SWARM_SIZE: SwarmSize = { enough: 24, lasting: 120, most: 128 }
