import type {
  AppId,
  EventBatch,
  EventReader,
  NewEvent,
  NodeId,
  OffsetMap,
  Publication,
  ReadRequest,
  StreamId,
} from '../core/index.js'
import type { BlockFate, Cuts } from './block-fate.js'
import type { ProblemKind } from './problem-kind.js'
import type { LimitName, Retention } from './retention.js'

/** One publish: all its events become durable and visible together, or none does. */
export interface AppendRequest {
  readonly appId: AppId
  /** Wall clock, µs since 1970; all events of the request carry it. */
  readonly timestamp: number
  /** In request order; lamports follow it. */
  readonly events: readonly AppendEvent[]
}

export interface AppendEvent extends NewEvent {
  /** Number of the own stream that the event goes to; its name must have been registered. */
  readonly streamNumber: number
}

/** What became durable in one commit: one batch per stream and run of lines, offsets ascending within each stream. */
export type CommitListener = (batches: readonly EventBatch[]) => void

/** A stream as operators see it. */
export interface StreamStatus {
  readonly stream: StreamId
  readonly name: string | undefined
  readonly number: number
  readonly own: boolean
  /** Events that can be read. */
  readonly events: number
  /** Oldest offset that can be read; `nextOffset` when the stream is empty. */
  readonly firstOffset: number
  /** Offset of the next event; -1 + this is the newest. */
  readonly nextOffset: number
  readonly blocks: number
  readonly tailEvents: number
  /** Stored bytes that `maxSize` counts: blocks and tail, with frames, index and header. */
  readonly storedBytes: number
  /** µs; `undefined` when there is no event. */
  readonly oldestTimestamp: number | undefined
  readonly newestTimestamp: number | undefined
  readonly retention: Retention
  /** What a prune at this moment would drop, and what holds the oldest remaining block back. */
  readonly nextPrune: PrunePreview
  /** When blocks are pruned next at the latest, µs since 1970; `undefined` while the store takes no writes. */
  readonly nextPruneMicros: number | undefined
  /** The limit that cuts nearest to now; `undefined` without limits. */
  readonly decidingLimit: LimitName | undefined
  /** Where each limit cuts at this moment. */
  readonly cuts: Cuts
}

/** Which blocks of a stream are wanted. */
export interface BlocksRequest {
  /** `asc`: from the block that holds this offset on; `desc`: from the one before this offset back. */
  readonly from: number | undefined
  readonly limit: number
  readonly order: 'asc' | 'desc'
}

/** A block of a stream, or a hole where blocks should be. */
export interface BlockStatus {
  /** Counted from 0 from the first that was sealed here; `undefined` where holes keep it from being counted. */
  readonly number: number | undefined
  readonly firstOffset: number
  readonly events: number
  /** `undefined`, as the next two and the fate, where its entry in the index is gone. */
  readonly storedBytes: number | undefined
  /** µs since 1970; timestamps may fall as offsets rise. */
  readonly oldestTimestamp: number | undefined
  readonly newestTimestamp: number | undefined
  readonly sealed: boolean
  /** As far as it is known: a block is read only when a query or a check asks for it. */
  readonly state: 'ok' | 'damaged' | 'missing'
  readonly fate: BlockFate | undefined
}

/** The block that events go into at the moment. */
export interface OpenBlock {
  readonly firstOffset: number
  readonly events: number
  readonly payloadBytes: number
  readonly maxEvents: number
  readonly maxBytes: number
  /** When it is ended although it is not full, µs since 1970; `undefined` for never. */
  readonly endsMicros: number | undefined
}

/** Some blocks of a stream, oldest or newest first as asked, with what becomes of them at the next prune. */
export interface BlockPage {
  readonly stream: StreamId
  readonly firstOffset: number
  readonly nextOffset: number
  readonly nextPruneMicros: number | undefined
  readonly decidingLimit: LimitName | undefined
  readonly cuts: Cuts
  readonly blocks: readonly BlockStatus[]
  /** Whether there are more behind the last. */
  readonly hasMore: boolean
  readonly open: OpenBlock | undefined
}

/** Tags that occur, as far as the index names them. */
export interface TagList {
  /** In order of code points. */
  readonly tags: readonly string[]
  /** Whether there is no other one: not when there are more than asked for, or blocks with too many to be named. */
  readonly complete: boolean
}

/** What a prune would drop of an own stream if it had other limits. */
export interface RetentionChange {
  readonly name: string
  /** Beyond what goes anyway. */
  readonly blocks: number
  readonly events: number
  readonly storedBytes: number
}

/** What a prune at this moment would drop, and what keeps the oldest remaining block. */
export interface PrunePreview {
  readonly blocks: number
  readonly events: number
  readonly storedBytes: number
  readonly heldBackBy: 'no-limit' | 'unsealed' | 'within-limits' | 'clock-jump' | 'owner' | 'damage' | 'read-only'
}

/** What a read would touch, found out from the index alone. */
export interface ReadPlan {
  readonly streams: number
  readonly blocks: number
  readonly blocksSkipped: number
  readonly tailEvents: number
}

/** The store of one node and topic, as the daemon sees it. */
export interface EventStore extends EventReader, AsyncDisposable {
  readonly nodeId: NodeId
  /**
   * Stores events; resolves when they are durable under the configured `sync` mode and visible to every later read.
   * Requests are committed in call order. Waits while too much is in flight.
   *
   * @throws StoreFullError, StoreIoError, StoreReadOnlyError, StoreClosedError: nothing was stored, nothing used up
   */
  append(request: AppendRequest): Promise<readonly Publication[]>
  /** Newest readable offset of every stream that ever had an event. */
  offsets(): OffsetMap
  /** How many events of each stream are known of and not held, by what their owners have signed; only where there are any. */
  missing(): ReadonlyMap<StreamId, number>
  read(request: ReadRequest): AsyncGenerator<EventBatch>
  plan(request: ReadRequest): Promise<ReadPlan>
  /** Called after a commit is durable and before its publishers are answered; must not throw. Returns its removal. */
  onCommit(listener: CommitListener): () => void
  /** Gives numbers to names that have none yet (in order), durably, and returns the number of each. 'default' is 0. */
  registerStreams(names: readonly string[]): Promise<ReadonlyMap<string, number>>
  /** Replaces all limits; streams not named keep everything. Does not restart the prune timer. */
  setRetention(limits: ReadonlyMap<string, Retention>): void
  streams(): Promise<readonly StreamStatus[]>
  /** `undefined` for a stream that there is nothing of. */
  blocks(stream: StreamId, request: BlocksRequest): Promise<BlockPage | undefined>
  /** Tags that begin with `prefix`, from a bounded look at the index. */
  tags(prefix: string, limit: number): Promise<TagList>
  /** Own streams of which more would go at once under other limits; streams not named would keep everything. */
  previewRetention(limits: ReadonlyMap<string, Retention>): Promise<readonly RetentionChange[]>
  metrics(): StoreMetrics
  /** Why the store takes no events at the moment, if so. Reads go on. */
  readonly health: StoreHealth
  /** All that is wrong, one by one. */
  problems(): readonly StoreProblem[]
  /**
   * Time of the event at an offset, µs since 1970: in a sealed block, of which nothing is read, that of its oldest event.
   * `undefined` where there is none.
   */
  timestampAt(stream: StreamId, offset: number): Promise<number | undefined>
  close(): Promise<void>
}

/** Whether the store takes events. */
export interface StoreHealth {
  readonly writable: boolean
  /** Sentences for the operator; empty when all is well. */
  readonly problems: readonly string[]
}

/** Something that is wrong with the store. */
export interface StoreProblem {
  readonly kind: ProblemKind
  /** The stream that it is about; `undefined` for the store as a whole. */
  readonly stream: StreamId | undefined
  /** Sentences for the operator. */
  readonly text: string
  /** When it was first noticed, µs since 1970. */
  readonly sinceMicros: number
}

/** Counters since start; histograms as plain sample arrays are the reader's business. */
export interface StoreMetrics {
  readonly commits: number
  readonly committedEvents: number
  readonly committedBytes: number
  /** Seconds, cumulative buckets as in Prometheus; see `Histogram`. */
  readonly commitSeconds: HistogramSnapshot
  readonly syncSeconds: HistogramSnapshot
  readonly pendingAppends: number
  readonly sealedBlocks: number
  /** Damaged ones in whose place those of other nodes were put. */
  readonly healedBlocks: number
  readonly prunedBlocks: number
  readonly prunedEvents: number
  readonly prunedBytes: number
  readonly pruneSeconds: HistogramSnapshot
  /** Time since all streams were last looked at for what to prune, and how often that is wanted. */
  readonly pruneAgeSeconds: number
  readonly pruneIntervalSeconds: number
  /** Lines of full blocks that wait to be sealed, bytes, and from where on commits wait for that. */
  readonly unsealedBytes: number
  readonly unsealedLimitBytes: number
  readonly corruptRecords: number
  /** How much there is of every kind of problem; 0 where all is well. */
  readonly problems: ReadonlyMap<string, number>
  readonly own: StreamTotals
  readonly replicas: StreamTotals
  readonly ownStreams: readonly {
    readonly stream: StreamId
    readonly name: string | undefined
    readonly totals: StreamTotals
  }[]
  /** Everything below the topic's directory, bytes. */
  readonly bytesOnDisk: number
  /** Of the file system that it lies in; `NaN` while unknown. */
  readonly diskFreeBytes: number
  readonly diskSizeBytes: number
  readonly cacheBytes: number
}

/** What is held of some streams. */
export interface StreamTotals {
  readonly streams: number
  readonly events: number
  readonly tailEvents: number
  readonly blocks: number
  readonly storedBytes: number
}

/** Prometheus form: `counts[i]` observations were at most `bounds[i]`; `count` includes those above the last bound. */
export interface HistogramSnapshot {
  readonly bounds: readonly number[]
  readonly counts: readonly number[]
  readonly sum: number
  readonly count: number
}
