export {
  embeddedBackend,
  memoryBackend,
  type RecordRange,
  type RecordStore,
  type StateBackend,
  type StateCapabilities,
} from './backend.js'
export type { Change, CommittedChanges } from './change-log.js'
export type { StateCheck, StateFault } from './check.js'
export type { Dedup } from './dedup.js'
export type { ClaimAnswer, ClaimRequest, ClaimToken } from './dedup-types.js'
export type { Ttl } from './draft.js'
export {
  CompactedError,
  CounterInvalidError,
  CounterRangeError,
  FencedError,
  LockLostError,
  LockQueueFullError,
  LockTimeoutError,
  OffsetConflictError,
  StateForbiddenError,
  StateFullError,
  StateKeyError,
  StateTooLargeError,
} from './errors.js'
export type { ExportRequest } from './export.js'
export { COUNTER_MAX, COUNTER_MIN, MAX_VALUE_BYTES } from './limits.js'
export type { Locks } from './locks.js'
export {
  MIN_LEASE_MS,
  type Fence,
  type LockGrant,
  type LockMode,
  type LockReport,
  type LockRequest,
  type LockWaiter,
} from './lock-types.js'
export type { LimitAlign, LimitPart, TakeAnswer, TakeRequest } from './limit-types.js'
export { Namespaces } from './namespaces.js'
export type { RateLimits } from './rate-limits.js'
export type { Page, ScanRequest } from './scan.js'
export type { RecordTable, TableCommit, TableWrite } from './record-table.js'
export { openRemoteBackend, remoteBackend, type OpenBackend, type RemoteBackendOptions } from './remote-backend.js'
export {
  StateBusyError,
  StateOutcomeError,
  StatePluginMissingError,
  StateProbeError,
  StateTakenOverError,
  StateUnreachableError,
} from './remote-errors.js'
export { State, type StateCounters, type StateInfo, type StateOptions } from './state.js'
export type { StateLogger } from './state-logger.js'
export {
  TRANSFER_KINDS,
  type ExportedItem,
  type ImportRemark,
  type ImportReport,
  type ImportRequest,
  type TransferItem,
  type TransferKind,
} from './transfer.js'
export type { Append, Appended, Condition, Entry, Operation, OperationResult, TxnRequest, TxnResult } from './txn.js'
