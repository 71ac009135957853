export {
  parseAnswerLine,
  payloadText,
  type AnswerEvent,
  type AnswerLine,
  type AntiEventLine,
  type EventLine,
  type FailureLine,
  type MonotonicEventLine,
  type MonotonicLine,
  type Offsets,
  type OffsetsLine,
  type QueryLine,
  type SubscribeLine,
  type TimeTravelLine,
  type WarningLine,
} from './answer.js'
export type { BlockFate, BlockReport, BlocksReport, BlocksWanted, TagsReport } from './blocks.js'
export { Client, type NodeInfo, type QueryBounds } from './client.js'
export type {
  AppliedRouting,
  DraftChanges,
  DraftNote,
  DraftReport,
  OperatorToken,
  RoutingChange,
  RoutingInfo,
  SettingInfo,
  SettingSource,
} from './config.js'
export {
  AnswerFailedError,
  LockLostError,
  NodeUnreachableError,
  OutcomeUnknownError,
  PayloadError,
  RequestRefusedError,
} from './errors.js'
export type { EventDraft } from './event-draft.js'
export { fetchTransport } from './fetch-transport.js'
export { splitLineBytes, splitLines } from './lines.js'
export type { IdentityInfo, Readiness, ReloadInfo, TopicInfo } from './node-info.js'
export type { LogLine, LogSeverity, RunningQuery } from './operation.js'
export type { AlarmReport, PeerReport, PeersReport } from './peers.js'
export type { AppManifest, GivenToken } from './requests.js'
export type { RetryPauses } from './retry.js'
export type { RouteReport } from './routes.js'
export type { PlatformSocket, SocketChannel } from './socket-channel.js'
export { Guard, LocksClient, type LockHolder, type LockInfo, type LockOptions } from './locks.js'
export { fingerprint } from './fingerprint.js'
export { DedupClient, type Claim, type DedupOptions } from './dedup.js'
export { RateLimitsClient, type AllTaken, type RateLimit, type RateLimitPart, type Taken } from './rate-limits.js'
export { StateClient, type StateWrite } from './state.js'
export type {
  FencedBy,
  StateAppend,
  StateChange,
  StateCommit,
  StateCondition,
  StateEntry,
  StateImport,
  StateImportOptions,
  StateInfo,
  StateOperation,
  StatePage,
  StateTxn,
  StateTxnResult,
  StateVerified,
  Ttl,
  Version,
} from './state-types.js'
export type { CutsReport, LimitName, Limits, StreamReport } from './streams.js'
export type { SubscribeOptions, Subscription, SubscriptionState } from './subscription.js'
export type { MissingReport, NodeAlarmReport, SwarmNodeReport, SwarmReport, SwarmStreamReport } from './swarm.js'
export type { Method, Transport, TransportOptions, TransportRequest, TransportResponse } from './transport.js'
