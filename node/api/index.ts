export { createApi, type Api } from './api.js'
export { AddressInUseError } from './address-in-use.js'
export type {
  AccessRules,
  ApiLimits,
  ApiOptions,
  BlobContent,
  BlobEntry,
  Blobs,
  ExplainRequest,
  Health,
  ListenAddress,
  NodeStatus,
  Operations,
} from './options.js'
export { API_VERSION } from './node-routes.js'
export { PEER_STATES, SWARM_ALARMS, type SwarmAlarm, type SwarmPeer, type SwarmReport } from './peers-reply.js'
export { openTokenKeys, renewTokenKeys } from './token-keys.js'
export { readClaims, SignedTokens } from './tokens.js'
