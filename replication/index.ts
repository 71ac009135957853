export { createNetworkKey, parseNetworkKey } from './libp2p/network-key.js'
export { mdnsServiceOf } from './libp2p/mdns-service.js'
export { openSwarm } from './libp2p/open-swarm.js'
export type { KnownPeer } from './libp2p/peer-exchange.js'
export { PROTOCOLS } from './libp2p/swarm-transport.js'
export { SWARM_TIMINGS, type SwarmOptions, type SwarmTimings } from './libp2p/swarm-options.js'
export { MemoryNetwork } from './memory/memory-network.js'
export type { MemoryTransport } from './memory/memory-transport.js'
export { PERFECT_NETWORK, type NetworkConditions } from './memory/link.js'
export { VirtualTime } from './memory/virtual-time.js'
export {
  MessageTooLargeError,
  NetworkKeyError,
  PeerBusyError,
  PeerFailedError,
  PeerUnreachableError,
  SwarmClosedError,
  SwarmListenError,
  SwarmSettingError,
} from './transport-errors.js'
export {
  MAX_ANSWER_BYTES,
  MAX_BROADCAST_BYTES,
  MAX_REQUEST_BYTES,
  MAX_REQUESTS,
  MAX_REQUESTS_PER_PEER,
  type BroadcastValidator,
  type FailureReason,
  type PeerFailure,
  type PeerSource,
  type PeerStatus,
  type RequestHandler,
  type RequestOptions,
  type Transport,
  type TransportCounters,
  type TransportEvent,
  type Verdict,
} from './transport.js'
export type { PeerQuality } from './sync/peer-book.js'
export { REPLICATE_ALL, type ReplicationPolicy } from './sync/policy.js'
export type { ReplicationCounters } from './sync/replication-counters.js'
export type { ReplicationLogger } from './sync/replication-logger.js'
export { Replicator, type PeerSync, type ReplicatorOptions } from './sync/replicator.js'
export type { StuckStream } from './sync/catch-up.js'
export { systemTime, type SwarmTime } from './sync/swarm-time.js'
export {
  BUCKET_DIGEST_BYTES,
  BUCKETS,
  decodeAnswer,
  decodeLive,
  decodeRequest,
  DIGEST_BYTES,
  encodeAnswer,
  encodeLive,
  encodeRequest,
  groupItems,
  MARK_BYTES,
  MAX_STATEMENT_BYTES,
  type HeldHead,
  type KnownHead,
  type LiveMessage,
  type SyncAnswer,
  type SyncRequest,
} from './wire.js'
