import {
  AbortedError,
  parseStreamId,
  StreamIdError,
  type EventBatch,
  type NodeId,
  type OffsetMap,
  type Publication,
  type ReadRequest,
} from '../core/index.js'
import { BlobStore } from './blobs.js'
import { BlockReader } from './block-reader.js'
import { CommitQueue } from './commit-queue.js'
import { Committer, type Committed } from './committer.js'
import { CorruptRecordError } from './corrupt-record.js'
import { bootId } from './directory-lock.js'
import type {
  AppendRequest,
  CommitListener,
  EventStore,
  ReadPlan,
  StoreHealth,
  StoreMetrics,
  StreamStatus,
} from './event-store.js'
import { HeadFile } from './head-file.js'
import { Health } from './health.js'
import { COMMIT_BOUNDS, Histogram, WORK_BOUNDS } from './histogram.js'
import { IndexReader } from './index-reader.js'
import { singleKey } from './keys.js'
import { Maintenance } from './maintenance.js'
import { planRead } from './read-plan.js'
import { recover } from './recovery.js'
import { KEEP_EVERYTHING, type Retention } from './retention.js'
import { Sealer } from './sealer.js'
import { encodeSingle } from './single-value.js'
import {
  EventTooLargeError,
  StoreClosedError,
  StoreFullError,
  StoreIoError,
  StoreReadOnlyError,
  toStoreError,
} from './store-errors.js'
import { openDatabases, type Databases } from './store-opening.js'
import type { StoreOptions } from './store-options.js'
import { mergeStreams, type StreamSource } from './merge-streams.js'
import { StreamNames } from './stream-names.js'
import { StreamReader } from './stream-reader.js'
import { describeStream } from './stream-status.js'
import { StreamTable } from './stream-table.js'
import type { StreamState } from './stream-state.js'

/** Bytes of one event's payload at most. */
export const MAX_PAYLOAD_BYTES = 16 * 1024 * 1024

/** Bytes that an event takes in flight beside its payload. */
const EVENT_OVERHEAD = 256

interface StoreParts extends Databases {
  readonly options: StoreOptions
  readonly head: HeadFile
  readonly streams: StreamTable
  readonly names: StreamNames
  readonly index: IndexReader
  readonly sealer: Sealer
  readonly health: Health
  readonly corruptRecords: number
}

/** The events of one topic on this node's disk. Made by {@link Store.open}. */
export class Store implements EventStore {
  readonly nodeId: NodeId
  /** Files of apps. */
  readonly blobs: BlobStore
  readonly #parts: StoreParts
  readonly #queue: CommitQueue<AppendRequest, readonly Publication[]>
  readonly #committer: Committer
  readonly #maintenance: Maintenance
  readonly #blockReader: BlockReader
  readonly #reader: StreamReader
  readonly #listeners = new Set<CommitListener>()
  #retention: ReadonlyMap<string, Retention> = new Map()
  #unsealedBytes = 0
  #waitingForSeal: (() => void)[] = []
  #syncTimer: NodeJS.Timeout | undefined
  #closed: Promise<void> | undefined
  readonly #commitSeconds = new Histogram(COMMIT_BOUNDS)
  readonly #syncSeconds = new Histogram(COMMIT_BOUNDS)
  readonly #pruneSeconds = new Histogram(WORK_BOUNDS)
  readonly #counts = { commits: 0, events: 0, bytes: 0, sealed: 0, corrupt: 0 }

  private constructor(parts: StoreParts) {
    const { options, meta, blocks, streams, index } = parts
    this.#parts = parts
    this.nodeId = streams.nodeId
    this.blobs = new BlobStore(meta, options.clock, () => parts.health.refusal())
    this.#counts.corrupt = parts.corruptRecords
    this.#committer = new Committer({ meta, streams, limits: options.block, sync: options.sync === 'always' })
    this.#queue = new CommitQueue({
      commit: (requests) => this.#commit(requests),
      ready: () => this.#roomToSeal(),
      maxGroupBytes: options.maxInFlightBytes,
    })
    this.#blockReader = new BlockReader({ ownNode: this.nodeId, cacheBytes: options.cacheBytes })
    this.#reader = new StreamReader({ blocks, index, blockReader: this.#blockReader, ownNode: this.nodeId })
    this.#maintenance = new Maintenance(
      () => this.#maintain(),
      (error) => {
        this.#writeFailed(error)
      },
    )
  }

  /**
   * @throws StoreMissingError, StoreWrongNodeError, StoreFormatError, StoreLockedError, StoreCorruptError, StoreFullError,
   * StoreIoError
   */
  static async open(options: StoreOptions): Promise<Store> {
    const place = await options.directory.topicDirectory(options.topic)
    const databases = await openDatabases(options, place)
    try {
      const store = new Store(await Store.#recover(options, databases, place.path))
      store.#start()
      return store
    } catch (error) {
      await databases.blocks.close()
      await databases.meta.close()
      throw toStoreError(error, `cannot open the store of topic '${options.topic}'`)
    }
  }

  static async #recover(options: StoreOptions, databases: Databases, path: string): Promise<StoreParts> {
    const { directory, topic, logger, block } = options
    const { nodeId, identity } = directory
    const boot = await bootId()
    const head = HeadFile.open(path, boot)
    try {
      const streams = new StreamTable(nodeId)
      const names = await StreamNames.load(databases.meta)
      const recovered = await recover({ ...databases, streams, head, limits: block, logger })
      const health = new Health()
      if (recovered.problems.length > 0) {
        health.raise('damage', recovered.problems.join('\n'), (text) => new StoreReadOnlyError(text))
      }
      checkHead(head, names, health, streams)
      if (health.refusal() === undefined) bringUpToDate(head, boot, names, streams)
      const index = new IndexReader(databases.meta, nodeId)
      const sealer = new Sealer({ ...databases, index, streams, identity, topic, nextArrival: recovered.nextArrival })
      return { ...databases, options, head, streams, names, index, sealer, health, ...recovered }
    } catch (error) {
      head.close()
      throw error
    }
  }

  #start(): void {
    const { options } = this.#parts
    this.#countUnsealed()
    if (typeof options.sync === 'object') {
      this.#syncTimer = setInterval(() => void this.#syncIfDirty(), options.sync.intervalMs)
      this.#syncTimer.unref()
    }
    this.#maintenance.wake()
  }

  get health(): StoreHealth {
    return this.#parts.health.snapshot()
  }

  async append(request: AppendRequest): Promise<readonly Publication[]> {
    if (this.#closed !== undefined) throw new StoreClosedError()
    if (request.events.length === 0) return []
    return this.#queue.add(request, this.#checkRequest(request))
  }

  /** Bytes that the request takes in flight. */
  #checkRequest({ events }: AppendRequest): number {
    let bytes = 0
    let checked = 0
    for (const { payload, streamNumber } of events) {
      if (payload.length > MAX_PAYLOAD_BYTES) {
        throw new EventTooLargeError(
          `a payload of ${String(payload.length)} bytes exceeds the limit of ${String(MAX_PAYLOAD_BYTES)} bytes`,
        )
      }
      if (streamNumber !== checked && !this.#parts.names.has(streamNumber)) {
        throw new StreamIdError(`stream number ${String(streamNumber)} has no name yet`)
      }
      checked = streamNumber
      bytes += payload.length + EVENT_OVERHEAD
    }
    return bytes
  }

  async #commit(requests: readonly AppendRequest[]): Promise<readonly (readonly Publication[])[]> {
    const refusal = this.#parts.health.refusal()
    if (refusal !== undefined) throw refusal
    const started = performance.now()
    let committed: Committed
    try {
      committed = await this.#committer.commit(requests)
    } catch (error) {
      this.#writeFailed(error)
      throw error
    }
    this.#noteHeads(committed.states)
    this.#commitSeconds.observe((performance.now() - started) / 1000)
    this.#syncSeconds.observe(committed.writeMs / 1000)
    this.#counts.commits++
    this.#counts.events += committed.events
    this.#counts.bytes += committed.bytes
    if (committed.completedBlock) this.#countUnsealed()
    for (const listener of this.#listeners) listener(committed.batches)
    if (committed.completedBlock) this.#maintenance.wake()
    return committed.publications
  }

  /** Before publishers are answered: what they were told must be known outside of the database too. */
  #noteHeads(states: readonly StreamState[]): void {
    const synced = this.#parts.options.sync === 'always'
    for (const state of states) {
      if (synced) state.syncedOffset = state.nextOffset
      this.#parts.head.write(state.stream, { nextOffset: state.nextOffset, syncedOffset: state.syncedOffset })
    }
  }

  /** In the modes that do not wait for the disk: brings what was committed there. */
  async #syncIfDirty(): Promise<void> {
    const { streams, meta, head } = this.#parts
    const dirty = [...streams.born()].filter((state) => state.syncedOffset < state.nextOffset && !state.damaged)
    if (dirty.length === 0 || this.#parts.health.refusal() !== undefined) return
    const ends = dirty.map((state) => state.nextOffset)
    try {
      const value = encodeSingle(SYNCED, this.#counts.commits)
      await meta.write([{ type: 'put', key: singleKey(SYNCED), value }], true)
      dirty.forEach((state, at) => {
        state.syncedOffset = ends[at] ?? 0
        head.write(state.stream, { nextOffset: state.nextOffset, syncedOffset: state.syncedOffset })
      })
    } catch (error) {
      this.#writeFailed(error)
    }
  }

  offsets(): OffsetMap {
    return this.#parts.streams.offsets()
  }

  async *read(request: ReadRequest): AsyncGenerator<EventBatch> {
    const check = () => {
      if (this.#closed !== undefined) throw new StoreClosedError()
      if (request.signal?.aborted === true)
        throw new AbortedError('the read was given up', { cause: request.signal.reason })
    }
    check()
    try {
      yield* mergeStreams([...this.#sources(request, check)], request.order)
    } catch (error) {
      check()
      if (error instanceof CorruptRecordError) this.#corruptionFound(error)
      throw error
    }
  }

  *#sources({ selection, order, lowerBound, upperBound }: ReadRequest, check: () => void): Generator<StreamSource> {
    for (const [stream, upper] of upperBound) {
      const state = this.#parts.streams.get(stream)
      const from = (lowerBound.get(stream) ?? -1) + 1
      if (state === undefined || state.isUnborn || from > upper) continue
      yield { stream, batches: this.#reader.read({ state, selection, order, from, to: upper + 1, check }) }
    }
  }

  #corruptionFound(error: CorruptRecordError): void {
    this.#counts.corrupt++
    this.#parts.options.logger.error({ ...error.place, err: error }, 'stored data are damaged')
    this.#parts.health.raise(
      `corrupt ${error.place.stream}`,
      `${error.message}; restore the data directory from a backup`,
    )
  }

  plan(request: ReadRequest): Promise<ReadPlan> {
    return planRead(request, this.#parts.streams, this.#parts.index)
  }

  onCommit(listener: CommitListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async registerStreams(names: readonly string[]): Promise<ReadonlyMap<string, number>> {
    if (this.#closed !== undefined) throw new StoreClosedError()
    const { names: table, streams, head, health } = this.#parts
    const fresh = names.filter((name) => table.numberOf(name) === undefined)
    if (fresh.length > 0) {
      const refusal = health.refusal()
      if (refusal !== undefined) throw refusal
      await table.register(fresh, streams.highestOwnNumber())
      head.begin(await bootId(), table.size)
    }
    return new Map(names.map((name) => [name, table.numberOf(name) ?? 0]))
  }

  setRetention(limits: ReadonlyMap<string, Retention>): void {
    this.#retention = new Map(limits)
    this.#maintenance.wake()
  }

  #retentionOf(state: StreamState): Retention {
    const { streams, names } = this.#parts
    const name = streams.isOwn(state) ? names.nameOf(state.number) : undefined
    return (name === undefined ? undefined : this.#retention.get(name)) ?? KEEP_EVERYTHING
  }

  async streams(): Promise<readonly StreamStatus[]> {
    const { streams, names, index, options } = this.#parts
    const statuses: StreamStatus[] = []
    for (const state of streams.born()) {
      const own = streams.isOwn(state)
      const name = own ? names.nameOf(state.number) : undefined
      const retention = this.#retentionOf(state)
      const nowMicros = options.clock.nowMicros()
      statuses.push(await describeStream({ state, own, name, retention, index, nowMicros, clockJumped: false }))
    }
    return statuses.sort((a, b) => Number(b.own) - Number(a.own) || a.number - b.number)
  }

  metrics(): StoreMetrics {
    return {
      commits: this.#counts.commits,
      committedEvents: this.#counts.events,
      committedBytes: this.#counts.bytes,
      commitSeconds: this.#commitSeconds.snapshot(),
      syncSeconds: this.#syncSeconds.snapshot(),
      pendingAppends: this.#queue.length,
      sealedBlocks: this.#counts.sealed,
      prunedBlocks: 0,
      prunedEvents: 0,
      prunedBytes: 0,
      pruneSeconds: this.#pruneSeconds.snapshot(),
      corruptRecords: this.#counts.corrupt,
      bytesOnDisk: 0,
      cacheBytes: this.#blockReader.cacheBytes,
    }
  }

  /** Seals what is complete. */
  async #maintain(): Promise<void> {
    while (this.#parts.health.refusal() === undefined) {
      const { blocks } = await this.#parts.sealer.round()
      this.#countUnsealed()
      this.#counts.sealed += blocks
      this.#wakeWaiting()
      if (blocks === 0) return
    }
  }

  #countUnsealed(): void {
    let bytes = 0
    for (const state of this.#parts.streams.born()) {
      for (const block of state.closed) bytes += block.lineBytes
    }
    this.#unsealedBytes = bytes
  }

  /** Commits wait while sealing is far behind. */
  async #roomToSeal(): Promise<void> {
    const { options, health } = this.#parts
    while (this.#unsealedBytes > options.maxUnsealedBytes && health.refusal() === undefined) {
      await new Promise<void>((resolve) => {
        this.#waitingForSeal.push(resolve)
        this.#maintenance.wake()
      })
    }
  }

  #wakeWaiting(): void {
    const waiting = this.#waitingForSeal
    this.#waitingForSeal = []
    for (const resolve of waiting) resolve()
  }

  #writeFailed(error: unknown): void {
    const { health, options } = this.#parts
    const cause = toStoreError(error, 'cannot write')
    options.logger.error({ err: cause }, 'the store cannot write')
    if (cause instanceof StoreFullError) health.raise('full', cause.message, (text) => new StoreFullError(text))
    else health.raise('io', `${cause.message}; restart when the disk works again`, (text) => new StoreIoError(text))
    this.#wakeWaiting()
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#shutdown())
  }

  async #shutdown(): Promise<void> {
    const { meta, blocks, head } = this.#parts
    clearInterval(this.#syncTimer)
    await this.#queue.drained()
    await this.#maintenance.stop()
    if (this.#parts.options.sync !== 'always') await this.#syncIfDirty()
    await blocks.close()
    await meta.close()
    head.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** Written to have everything before it synced. */
const SYNCED = 'synced'

/** After this the head file speaks of the running boot and of what is really there. */
function bringUpToDate(head: HeadFile, boot: string, names: StreamNames, streams: StreamTable): void {
  for (const { stream, nextOffset, syncedOffset } of streams.born()) {
    const found = head.found.get(stream)
    // Whatever was not known to be synced may have come through a crash in the page cache only.
    if (found?.nextOffset !== nextOffset) head.write(stream, { nextOffset, syncedOffset })
  }
  head.begin(boot, names.size)
}

/** The head file guards against lost records only when it is whole itself. */
function checkHead(head: HeadFile, names: StreamNames, health: Health, streams: StreamTable): void {
  const readOnly = (text: string) => new StoreReadOnlyError(text)
  if (head.foundNames !== undefined && head.foundNames > names.size) {
    const lost = String(head.foundNames - names.size)
    health.raise('names', `${lost} stream names are missing; restore the data directory from a backup`, readOnly)
  }
  const unknown = [...streams.born()].find(
    (state) => streams.isOwn(state) && state.number > 0 && !names.has(parseStreamId(state.stream).number),
  )
  if (unknown !== undefined) {
    health.raise(
      'names',
      `stream ${unknown.stream} has lost its name; restore the data directory from a backup`,
      readOnly,
    )
  }
}

/** Opens the store of a topic, or creates it. */
export function openStore(options: StoreOptions): Promise<Store> {
  return Store.open(options)
}
