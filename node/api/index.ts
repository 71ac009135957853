export { createApi, type Api } from './api.js'
export { AddressInUseError } from './address-in-use.js'
export type { ApiCounters } from './counters.js'
export { ApiError } from './errors.js'
export type {
  AccessRules,
  ApiLimits,
  ApiLogger,
  ApiOptions,
  ApiTimers,
  BlobContent,
  BlobEntry,
  Blobs,
  ExplainRequest,
  Health,
  ListenAddress,
  NodeStatus,
  PeerState,
} from './options.js'
export { openTokenKeys, renewTokenKeys } from './token-keys.js'
export { SignedTokens, type AppMode, type TokenHolder, type TokenService } from './tokens.js'
