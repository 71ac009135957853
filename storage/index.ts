export { BackupInvalidError, BackupRunningError, BackupTargetError } from './backup-errors.js'
export type { BackupManifest } from './backup-manifest.js'
export { streamBackup } from './backup-stream.js'
export { saveBackup, type SavedBackup } from './backup-target.js'
export { BlobStore, BlobTooLargeError, type BlobContent, type BlobEntry } from './blobs.js'
export type { HealOutcome } from './block-healer.js'
export { HOLDERS, type BlockFate, type Cuts, type Holder } from './block-fate.js'
export type { BlockSeal } from './block-seal.js'
export { placeOfBlock, type BlockPlace } from './block-transfer.js'
export type { CheckLine } from './check-report.js'
export { decodeRun, encodeRun, headOfRun, receiveRun, verifyRun, VerifiedRun, type CommitRun } from './commit-run.js'
export { CorruptRecordError, type RecordPlace } from './corrupt-record.js'
export type { DamagedBlock } from './damages.js'
export { DataDirectory, encodeTopic, type TopicDirectory, type TopicUsage } from './data-directory.js'
export type {
  AppendEvent,
  AppendRequest,
  BlockPage,
  BlocksRequest,
  BlockStatus,
  CommitListener,
  EventStore,
  HistogramSnapshot,
  PrunePreview,
  ReadPlan,
  RetentionChange,
  StoreHealth,
  StoreMetrics,
  StoreProblem,
  StreamStatus,
  StreamTotals,
  TagList,
} from './event-store.js'
export { Histogram } from './histogram.js'
export type { ForkProof, SignedStatement } from './fork-proof.js'
export { FORMAT_VERSION } from './format-file.js'
export { renewIdentity, type RenewedIdentity } from './identity-renewal.js'
export { Identity, verifySignature } from './identity.js'
export { contradictionBetween, readStatement, type OwnerStatement } from './owner-statement.js'
export type { ApplyOutcome, ForkOutcome, HeadOutcome, Malformed } from './replica-outcome.js'
export type { ReplicaPiece } from './replica-source.js'
export { ReplicaStore, type ReplicaListener, type ReplicaStatus } from './replica-store.js'
export { decodeHead, encodeHead, faultOfHead, type SignedHead } from './signed-head.js'
export type { BlockLimits } from './block-boundaries.js'
export { EPOCH_SIZE } from './stream-table.js'
export { countPrunable, KEEP_EVERYTHING, LIMITS, type LimitName, type Retention, type Totals } from './retention.js'
export {
  DataDirectoryError,
  EventTooLargeError,
  StoreClosedError,
  StoreCorruptError,
  StoreFormatError,
  StoreFullError,
  StoreIoError,
  StoreLockedError,
  StoreMissingError,
  StoreReadOnlyError,
  StoreWrongNodeError,
  TopicInUseError,
  TopicUnknownError,
} from './store-errors.js'
export type { ProblemKind } from './problem-kind.js'
export { checkBackup, restoreBackup, type Restored, type RestoreOptions } from './restore.js'
export type { StateDecision, StateSpace, StateView } from './state-space.js'
export { takeSnapshot, type Snapshot } from './snapshot.js'
export { readEpoch } from './store-opening.js'
export type { StoreLogger, StoreOptions, SyncMode } from './store-options.js'
export { MAX_PAYLOAD_BYTES } from './lines.js'
export { checkTopic } from './topic-check.js'
export { openStore, Store } from './store.js'
