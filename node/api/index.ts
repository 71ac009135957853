export { createApi, type Api } from './api.js'
export type { ApiCounters } from './counters.js'
export { AddressInUseError } from './address-in-use.js'
export type {
  AccessRules,
  ApiLimits,
  ApiLogger,
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
export type { SwarmAlarm, SwarmPeer, SwarmReport } from './peers-reply.js'
export { openTokenKeys, renewTokenKeys } from './token-keys.js'
export { SignedTokens } from './tokens.js'
