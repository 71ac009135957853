import type { StreamId } from '../../core/index.js'
import type { Retention } from '../../storage/index.js'

/** What the operator decides about replication; may change while it runs. */
export interface ReplicationPolicy {
  /** Between two rounds of comparing heads with peers, ms. */
  readonly headsIntervalMs: number
  /** Streams of other nodes that are held in all, and of one node; what comes beyond is refused with an alarm. */
  readonly maxStreams: number
  readonly maxStreamsPerNode: number
  /** Whether an own stream of this name goes to other nodes. */
  isShared(name: string): boolean
  /** Whether a stream of another node is wanted here. */
  isWanted(stream: StreamId, name: string): boolean
  /** Own limits for replicas of streams of this name; `undefined`: as their owners keep them. */
  limitsOf(name: string): Retention | undefined
}

/** All of all nodes. */
export const REPLICATE_ALL: ReplicationPolicy = {
  headsIntervalMs: 10_000,
  maxStreams: 10_000,
  maxStreamsPerNode: 256,
  isShared: () => true,
  isWanted: () => true,
  limitsOf: () => undefined,
}
