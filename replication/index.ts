export { createNetworkKey, parseNetworkKey } from './libp2p/network-key.js'
export { openSwarm } from './libp2p/open-swarm.js'
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
export {
  decodeAnswer,
  decodeLive,
  decodeRequest,
  encodeAnswer,
  encodeLive,
  encodeRequest,
  groupItems,
  type LiveMessage,
  type SyncAnswer,
  type SyncRequest,
} from './wire.js'
