export { createApi, type Api } from './api.js'
export { AddressInUseError } from './address-in-use.js'
export type { AppliedRouting, ConfigDesk, DraftNote, DraftReport, SettingLine } from './config-desk.js'
export type { ExplainedRoute, RouteQuestion } from './explained-route.js'
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
  NodeViews,
  Operations,
} from './options.js'
export { API_VERSION } from './node-routes.js'
export { ALARM_KINDS, type AlarmKind, type NodeAlarm } from './alarms-reply.js'
export type { MissingEvents, SwarmNode, SwarmPicture, SwarmStream } from './swarm-reply.js'
export {
  PEER_STATES,
  SWARM_ALARMS,
  type SwarmAlarm,
  type SwarmLink,
  type SwarmPeer,
  type SwarmReport,
} from './peers-reply.js'
export { openTokenKeys, renewTokenKeys } from './token-keys.js'
export { readClaims, SignedTokens } from './tokens.js'
