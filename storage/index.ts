export { BlobStore, BlobTooLargeError, type BlobContent, type BlobEntry } from './blobs.js'
export { CorruptRecordError, type RecordPlace } from './corrupt-record.js'
export { DataDirectory, encodeTopic, type TopicDirectory } from './data-directory.js'
export type {
  AppendEvent,
  AppendRequest,
  CommitListener,
  EventStore,
  HistogramSnapshot,
  PrunePreview,
  ReadPlan,
  StoreHealth,
  StoreMetrics,
  StreamStatus,
} from './event-store.js'
export { Identity, verifySignature } from './identity.js'
export type { BlockLimits } from './block-boundaries.js'
export { countPrunable, KEEP_EVERYTHING, type Retention, type Totals } from './retention.js'
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
} from './store-errors.js'
export type { StoreLogger, StoreOptions, SyncMode } from './store-options.js'
export { MAX_PAYLOAD_BYTES, openStore, Store } from './store.js'
