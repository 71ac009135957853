import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import {
  AbortedError,
  StreamIdError,
  type EventBatch,
  type NodeId,
  type OffsetMap,
  type Publication,
  type ReadRequest,
  type StreamId,
} from '../core/index.js'
import { BlobStore } from './blobs.js'
import { listBlocks } from './block-list.js'
import { isBlockPart } from './block.js'
import { BlockReader } from './block-reader.js'
import type { CheckLine, Damage } from './check-report.js'
import { CommitQueue } from './commit-queue.js'
import { ClockGuard } from './clock-guard.js'
import { Committer, type Committed } from './committer.js'
import { CorruptRecordError } from './corrupt-record.js'
import { Damages } from './damages.js'
import { DiskUsage } from './disk-usage.js'
import { Counters } from './counters.js'
import { bootId } from './directory-lock.js'
import type { TopicDirectory } from './data-directory.js'
import { DiskGuard } from './disk-guard.js'
import type {
  AppendRequest,
  BlockPage,
  BlocksRequest,
  CommitListener,
  EventStore,
  ReadPlan,
  RetentionChange,
  StoreHealth,
  StoreMetrics,
  StoreProblem,
  StreamStatus,
  TagList,
} from './event-store.js'
import { DATABASES, linkTables, snapshotTopic } from './level-snapshot.js'
import { loadEpoch } from './own-history.js'
import { HeadFile } from './head-file.js'
import { Health, TABLE } from './health.js'
import { IndexReader } from './index-reader.js'
import { singleKey } from './keys.js'
import { Pruner } from './pruner.js'
import { planRead } from './read-plan.js'
import { Reclaimer } from './reclaimer.js'
import { recover } from './recovery.js'
import { ReplicaStore } from './replica-store.js'
import type { ReplicaJob } from './replica-writer.js'
import { ReserveFile } from './reserve-file.js'
import { KEEP_EVERYTHING, type Retention } from './retention.js'
import { Sealer } from './sealer.js'
import { StateSpace, type StateDecision, type StateJob } from './state-space.js'
import { encodeSingle } from './single-value.js'
import {
  EventTooLargeError,
  StoreClosedError,
  StoreCorruptError,
  StoreReadOnlyError,
  toStoreError,
} from './store-errors.js'
import { MAX_PAYLOAD_BYTES } from './lines.js'
import { openDatabases, type Databases } from './store-opening.js'
import type { StoreOptions } from './store-options.js'
import { mergeStreams, type StreamSource } from './merge-streams.js'
import { StreamNames } from './stream-names.js'
import { checkDatabases } from './store-check.js'
import { contentOf } from './stream-content.js'
import { StreamReader } from './stream-reader.js'
import { describeStream } from './stream-status.js'
import type { SurveyRequest } from './stream-survey.js'
import { EPOCH_SIZE, StreamTable } from './stream-table.js'
import { listTags } from './tag-list.js'
import { previewRetention } from './retention-preview.js'
import type { StreamState } from './stream-state.js'
import { Upkeep } from './upkeep.js'
import { TailCompactor } from './tail-compactor.js'
import { takeBackLostSeals } from './take-back.js'
import { verifyTails } from './verify-tails.js'

/** Bytes that an event takes in flight beside its payload. */
const EVENT_OVERHEAD = 256

/** How long after a commit another one is expected, so that reading leaves room for it. */
const PUBLISHING_MS = 1000

/** While events are published, a check rests for so many times as long as it works. */
const WAY_GIVEN = 3

/** What the commit queue takes: own events, those of others, and changes of the state. */
type StoreJob = AppendRequest | ReplicaJob | StateJob

interface CommittedGroup {
  readonly jobs: readonly StoreJob[]
  readonly committed: Committed
  /** What was appended, where decisions of the state had a say in it. */
  readonly requests: readonly AppendRequest[] | undefined
}

function isReplicaJob(job: StoreJob): job is ReplicaJob {
  return 'kind' in job && job.kind !== 'state'
}

function isRequest(job: StoreJob): job is AppendRequest {
  return !('kind' in job)
}

function isStateJob(job: StoreJob): job is StateJob {
  return 'kind' in job && job.kind === 'state'
}

interface StoreParts extends Databases {
  readonly options: StoreOptions
  readonly head: HeadFile
  readonly streams: StreamTable
  readonly names: StreamNames
  readonly index: IndexReader
  readonly sealer: Sealer
  readonly reclaimer: Reclaimer
  readonly tails: TailCompactor
  readonly reserve: ReserveFile
  readonly usage: DiskUsage
  readonly health: Health
  readonly counters: Counters
}

/** The events of one topic on this node's disk. Made by {@link Store.open}. */
export class Store implements EventStore {
  readonly nodeId: NodeId
  /** Files of apps. */
  readonly blobs: BlobStore
  /** The store as replication sees it. */
  readonly replicas: ReplicaStore
  /** Records that change in the same commits as the events. */
  readonly state: StateSpace
  readonly #parts: StoreParts
  readonly #queue: CommitQueue<StoreJob, CommittedGroup, readonly Publication[]>
  readonly #committer: Committer
  readonly #upkeep: Upkeep
  readonly #disk: DiskGuard
  readonly #guard: ClockGuard
  readonly #blockReader: BlockReader
  readonly #reader: StreamReader
  readonly #listeners = new Set<CommitListener>()
  readonly #damages: Damages
  #retention: ReadonlyMap<string, Retention> = new Map()
  /** Groups with records of the state that were committed, and how many of them are surely on disk. */
  #stateCommits = 0
  #stateSynced = 0
  /** When the newest commit ended, by the monotonic clock. */
  #committedAt = -Infinity
  #syncTimer: NodeJS.Timeout | undefined
  #closed: Promise<void> | undefined

  private constructor(parts: StoreParts) {
    const { options, meta, blocks, streams, index, health } = parts
    this.#parts = parts
    this.nodeId = streams.nodeId
    this.blobs = new BlobStore(meta, options.clock, () => parts.health.refusal())
    this.state = new StateSpace({
      meta,
      epoch: () => streams.epoch,
      commit: (decision) => this.#decide(decision),
      onDamage: (problem) => {
        if (problem === undefined) parts.health.clear('state')
        else parts.health.raise('state', problem.message)
      },
    })
    this.#committer = new Committer({
      meta,
      streams,
      limits: options.block,
      topic: options.topic,
      sync: options.sync === 'always',
      onWriting: (state, tip) => {
        this.replicas.committing(state, tip)
      },
    })
    this.#queue = new CommitQueue({
      commit: (jobs) => this.#commit(jobs),
      settle: (group) => this.#settle(group),
      ready: () => this.#upkeep.roomToSeal(),
      maxGroupBytes: options.maxInFlightBytes,
    })
    this.#blockReader = new BlockReader({ ownNode: this.nodeId, cacheBytes: options.cacheBytes })
    this.#reader = new StreamReader({
      blocks,
      index,
      blockReader: this.#blockReader,
      ownNode: this.nodeId,
      isPublishing: () => performance.now() - this.#committedAt < PUBLISHING_MS,
    })
    this.#damages = new Damages(health)
    this.#guard = new ClockGuard(options.clock)
    this.#upkeep = new Upkeep({
      ...parts,
      ...options,
      pruner: new Pruner({ ...parts, blockReader: this.#blockReader, damages: this.#damages }),
      guard: this.#guard,
      retentionOf: (state) => this.#retentionOf(state),
      endBlock: ({ stream, open: { firstOffset } }) => {
        // When nothing can be committed it stays open, and is looked at again.
        this.#queue.add({ kind: 'close', stream, firstOffset }, 0).catch(() => undefined)
      },
      writeFailed: (error) => {
        this.#disk.failed(error)
      },
    })
    this.replicas = new ReplicaStore({
      ...parts,
      ...options,
      identity: options.directory.identity,
      formerNodes: options.directory.formerNodes,
      upkeep: this.#upkeep,
      blockReader: this.#blockReader,
      damages: this.#damages,
      corrupt: (error) => {
        this.#corruptionFound(error)
      },
      alwaysSynced: options.sync === 'always',
      commit: (job, bytes) => this.#queue.add(job, bytes, true),
      publish: (batches) => {
        this.#tellListeners(batches)
      },
      sync: (always) => this.#syncIfDirty(always),
      check: () => {
        if (this.#closed !== undefined) throw new StoreClosedError()
      },
    })
    for (const database of [meta, blocks]) {
      database.reportFailures((error) => {
        this.#disk.failed(error)
      })
    }
    this.#disk = new DiskGuard({
      reserve: parts.reserve,
      health,
      logger: options.logger,
      reopen: async () => {
        await meta.reopen()
        await blocks.reopen()
        await takeBackLostSeals(meta, streams)
      },
      verify: () => verifyTails(meta, streams),
      changed: () => {
        this.#upkeep.wake()
      },
    })
  }

  /**
   * @throws StoreMissingError, StoreWrongNodeError, StoreFormatError, StoreLockedError, StoreCorruptError, StoreFullError,
   * StoreIoError
   */
  static async open(options: StoreOptions): Promise<Store> {
    const place = await options.directory.topicDirectory(options.topic)
    const databases = await openDatabases(options, place)
    try {
      const store = new Store(await Store.#recover(options, databases, place))
      await store.replicas.load()
      store.#start()
      return store
    } catch (error) {
      await databases.blocks.close()
      await databases.meta.close()
      throw toStoreError(error, `cannot open the store of topic '${options.topic}'`)
    }
  }

  static async #recover(
    options: StoreOptions,
    databases: Databases,
    { path, onRecord }: TopicDirectory,
  ): Promise<StoreParts> {
    const { directory, topic, logger, block } = options
    const { nodeId, identity } = directory
    const boot = await bootId()
    const head = HeadFile.open(path, boot)
    try {
      const streams = new StreamTable(nodeId, await loadEpoch(databases.meta))
      const names = await StreamNames.load(databases.meta)
      const recovered = await recover({ ...databases, streams, head, limits: block, logger })
      const health = new Health(options.clock)
      const counters = new Counters()
      counters.corruptRecords = recovered.corruptRecords
      if (recovered.problems.length > 0) {
        health.raise('damage', recovered.problems.join('\n'), (text) => new StoreReadOnlyError(text))
      }
      checkHead(head, names, health, streams)
      if (onRecord && (head.foundNames === undefined || head.damagedSlots > 0)) {
        logger.warn({ damagedSlots: head.damagedSlots }, 'the head file is missing or damaged and is written anew')
      }
      if (health.refusal() === undefined) bringUpToDate(head, boot, names, streams)
      const index = new IndexReader(databases.meta, nodeId)
      const reclaimer = await Reclaimer.load(databases.meta, databases.blocks)
      const { nextArrival } = recovered
      const tails = new TailCompactor(databases.meta)
      const sealer = new Sealer({ ...databases, index, streams, reclaimer, tails, identity, topic, nextArrival })
      const reserve = new ReserveFile(path, options.reserveBytes)
      const usage = new DiskUsage(path)
      void usage.measure()
      const work = { sealer, reclaimer, tails }
      return { ...databases, ...work, options, head, streams, names, index, reserve, usage, health, counters }
    } catch (error) {
      head.close()
      throw error
    }
  }

  #start(): void {
    const { options } = this.#parts
    if (typeof options.sync === 'object') {
      this.#syncTimer = setInterval(() => {
        // What went wrong is reported by the database.
        this.#syncIfDirty().catch(() => undefined)
      }, options.sync.intervalMs)
      this.#syncTimer.unref()
    }
    this.#disk.start()
    this.#upkeep.start()
  }

  get health(): StoreHealth {
    return this.#parts.health.snapshot()
  }

  async append(request: AppendRequest): Promise<readonly Publication[]> {
    if (this.#closed !== undefined) throw new StoreClosedError()
    if (request.events.length === 0) return []
    const refusal = this.#parts.health.publishRefusal()
    if (refusal !== undefined) throw refusal
    return this.#queue.add(request, this.#checkRequest(request))
  }

  async #decide(decision: StateDecision): Promise<void> {
    if (this.#closed !== undefined) throw new StoreClosedError()
    const refusal = this.#parts.health.publishRefusal()
    if (refusal !== undefined) throw refusal
    const bytes = decision.appends.reduce((sum, request) => sum + this.#checkRequest(request), decision.bytes)
    const job: StateJob = { kind: 'state', decision, refusal: undefined }
    await this.#queue.add(job, bytes)
    // Set meanwhile, when the commit was formed.
    if (job.refusal !== undefined) throw job.refusal.error
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

  async #commit(jobs: readonly StoreJob[]): Promise<CommittedGroup> {
    const { health } = this.#parts
    const requests = jobs.filter(isRequest)
    const replicas = requests.length < jobs.length ? jobs.filter(isReplicaJob) : []
    const isDecided = requests.length + replicas.length < jobs.length
    const refusal = requests.length > 0 || isDecided ? health.publishRefusal() : health.refusal()
    if (refusal !== undefined) throw refusal
    if (!isDecided) return { jobs, committed: await this.#committer.commit(requests, replicas), requests: undefined }
    const own = jobs.filter((job) => isRequest(job) || isStateJob(job))
    return { jobs, ...(await this.#committer.commitDecided(own, replicas)) }
  }

  /** What follows from a commit, while the next one is being written. */
  #settle({ jobs, committed, requests }: CommittedGroup): readonly (readonly Publication[])[] {
    this.#noteHeads(committed.states)
    const { counters } = this.#parts
    counters.commitSeconds.observe(committed.commitMs / 1000)
    counters.syncSeconds.observe(committed.writeMs / 1000)
    counters.commits++
    counters.committedEvents += committed.events
    counters.committedBytes += committed.bytes
    this.#tellListeners(committed.batches)
    this.#upkeep.committed(committed.states, committed.completedBlock)
    const { publications } = committed
    if (requests !== undefined) return this.#settleDecided(jobs, publications, requests)
    if (publications.length === jobs.length) return publications
    let request = 0
    return jobs.map((job) => (isRequest(job) ? (publications[request++] ?? []) : []))
  }

  #settleDecided(
    jobs: readonly StoreJob[],
    publications: Committed['publications'],
    requests: readonly AppendRequest[],
  ): readonly (readonly Publication[])[] {
    this.#stateCommits++
    if (this.#parts.options.sync === 'always') this.#stateSynced = this.#stateCommits
    const results = new Map(requests.map((request, at) => [request, publications[at]]))
    return jobs.map((job) => {
      if (isRequest(job)) return results.get(job) ?? []
      if (isStateJob(job) && job.refusal === undefined) job.decision.committed()
      return []
    })
  }

  /** Whatever a listener does, its publishers' events are stored. */
  #tellListeners(batches: readonly EventBatch[]): void {
    for (const listener of this.#listeners) {
      try {
        listener(batches)
      } catch (error) {
        this.#parts.options.logger.error({ err: error }, 'a listener to commits failed')
      }
    }
  }

  /** Before publishers are answered: what they were told must be known outside of the database too. */
  #noteHeads(states: readonly StreamState[]): void {
    const synced = this.#parts.options.sync === 'always'
    for (const state of states) {
      if (synced) state.syncedOffset = state.nextOffset
      // What is lost of a replica can be fetched again.
      if (state.isReplica) continue
      this.#parts.head.write(state.stream, { nextOffset: state.nextOffset, syncedOffset: state.syncedOffset })
    }
    if (synced) this.replicas.moved(states)
  }

  /** In the modes that do not wait for the disk: brings what was committed there. */
  async #syncIfDirty(always = false): Promise<void> {
    const { streams, meta, head } = this.#parts
    const dirty = [...streams.born()].filter((state) => state.syncedOffset < state.nextOffset && !state.damaged)
    const stateCommits = this.#stateCommits
    const isDirty = dirty.length > 0 || this.#stateSynced < stateCommits
    if ((!isDirty && !always) || this.#parts.health.refusal() !== undefined) return
    const ends = dirty.map((state) => state.nextOffset)
    const value = encodeSingle(SYNCED, this.#parts.counters.commits)
    await meta.write([{ type: 'put', key: singleKey(SYNCED), value }], true)
    this.#stateSynced = Math.max(this.#stateSynced, stateCommits)
    dirty.forEach((state, at) => {
      state.syncedOffset = ends[at] ?? 0
      if (!state.isReplica) {
        head.write(state.stream, { nextOffset: state.nextOffset, syncedOffset: state.syncedOffset })
      }
    })
    this.replicas.moved(dirty)
  }

  offsets(): OffsetMap {
    return this.#parts.streams.offsets()
  }

  missing(): ReadonlyMap<StreamId, number> {
    return this.replicas.missing()
  }

  async *read(request: ReadRequest): AsyncGenerator<EventBatch> {
    const check = () => {
      if (this.#closed !== undefined) throw new StoreClosedError()
      if (request.signal?.aborted === true)
        throw new AbortedError('the read was given up', { cause: request.signal.reason })
    }
    check()
    try {
      yield* mergeStreams(this.#sources(request, check), request.order)
    } catch (error) {
      check()
      if (error instanceof CorruptRecordError || error instanceof StoreCorruptError) this.#corruptionFound(error)
      throw error
    }
  }

  #sources({ selection, order, lowerBound, upperBound }: ReadRequest, check: () => void): StreamSource[] {
    const ranges = [...upperBound].flatMap(([stream, upper]) => {
      const state = this.#parts.streams.get(stream)
      const from = (lowerBound.get(stream) ?? -1) + 1
      return state === undefined || state.isUnborn || from > upper ? [] : [{ state, from, to: upper + 1 }]
    })
    // One stream after the other is as good as one stream.
    const streams = order === 'stream-asc' ? 1 : ranges.length
    return ranges.map((range) => ({
      stream: range.state.stream,
      batches: this.#reader.read({ ...range, selection, order, streams, check }),
    }))
  }

  #corruptionFound(error: CorruptRecordError | StoreCorruptError): void {
    const { counters, options, health } = this.#parts
    const place = error instanceof CorruptRecordError ? error.place : undefined
    counters.corruptRecords++
    options.logger.error({ ...place, err: error }, 'stored data are damaged')
    health.raise(`corrupt ${place?.stream ?? TABLE}`, `${error.message}${adviceFor(error)}`)
    if (place === undefined || !(error instanceof CorruptRecordError)) return
    const isNew = this.#damages.note(error)
    if (isNew && isBlockPart(place.part)) this.replicas.foundDamaged(place)
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

  /** The number of an own stream by its name or its id; `undefined` when there is none of it. */
  numberOfStream(text: string): number | undefined {
    const { names, streams } = this.#parts
    const number = names.numberOf(text)
    if (number !== undefined) return number
    for (const state of streams.all()) {
      if (state.stream === text && streams.isOwn(state) && !state.isReplica) return state.number % EPOCH_SIZE
    }
    return undefined
  }

  /** Checks everything that is stored, beside all other work, which goes first. */
  async *check(signal: AbortSignal): AsyncGenerator<CheckLine> {
    const { options, meta, blocks, streams } = this.#parts
    const lines = checkDatabases({
      topic: options.topic,
      nodeId: this.nodeId,
      meta,
      blocks,
      nowMicros: options.clock.nowMicros(),
      knownEnd: (stream) => {
        const nextOffset = streams.get(stream)?.nextOffset
        return nextOffset === undefined ? undefined : { nextOffset, surelyOnDisk: nextOffset }
      },
      exclusively: (work) => this.#upkeep.exclusively(work),
      giveWay: async (workedMs) => {
        const isPublishing = performance.now() - this.#committedAt < PUBLISHING_MS
        await delay(isPublishing ? WAY_GIVEN * workedMs : 0, undefined, { signal }).catch(() => undefined)
        if (this.#closed !== undefined) throw new StoreClosedError()
        if (signal.aborted) throw new AbortedError('the check was given up', { cause: signal.reason })
      },
    })
    for await (const line of lines) {
      if (line.type === 'damage') await this.#checkFound(line)
      yield line
    }
  }

  /** A damaged block is given back by other nodes, whoever has found it. */
  async #checkFound({ stream, from, part, problem }: Damage): Promise<void> {
    const { streams, index } = this.#parts
    const state = stream === null ? undefined : streams.get(stream)
    if (state === undefined || from === null || !isBlockPart(part)) return
    for await (const { firstOffset } of index.entries(state, { from, to: from + 1 }, 'asc')) {
      this.#corruptionFound(new CorruptRecordError({ stream: state.stream, offset: firstOffset, part }, problem))
    }
  }

  /**
   * Puts a copy of everything into a folder on the same disk, as it is at one moment: what a crash would leave then. Writes
   * wait meanwhile, for as long as it takes to link the tables that are new and to copy the logs.
   *
   * @returns how long writes waited, milliseconds
   * @throws what keeps the store from being written
   */
  async snapshot(target: string): Promise<number> {
    const { meta, blocks, health, usage } = this.#parts
    const refusal = health.refusal()
    if (refusal !== undefined) throw refusal
    const from = usage.directory
    for (const name of DATABASES) await linkTables(join(from, name), join(target, name))
    return this.#upkeep.exclusively(async () => {
      // What was sealed since then is linked before anybody waits.
      for (const name of DATABASES) await linkTables(join(from, name), join(target, name))
      const started = performance.now()
      return meta.holdWrites(() =>
        blocks.holdWrites(async () => {
          await snapshotTopic(from, target)
          return performance.now() - started
        }),
      )
    })
  }

  setRetention(limits: ReadonlyMap<string, Retention>): void {
    this.#retention = new Map(limits)
    this.#upkeep.wake()
  }

  #retentionOf(state: StreamState): Retention {
    const { streams, names } = this.#parts
    if (!streams.isOwn(state)) return this.replicas.limitsOf(state.stream) ?? KEEP_EVERYTHING
    const name = names.nameOfStream(state.number)
    return (name === undefined ? undefined : this.#retention.get(name)) ?? KEEP_EVERYTHING
  }

  async streams(): Promise<readonly StreamStatus[]> {
    const { streams, names } = this.#parts
    const statuses: StreamStatus[] = []
    for (const state of streams.born()) {
      const own = streams.isOwn(state)
      const name = own ? names.nameOfStream(state.number) : this.replicas.status(state.stream)?.name
      statuses.push(await describeStream({ ...this.#surveyRequest(state), own, name }))
    }
    return statuses.sort((a, b) => Number(b.own) - Number(a.own) || a.number - b.number)
  }

  async blocks(stream: StreamId, request: BlocksRequest): Promise<BlockPage | undefined> {
    const state = this.#parts.streams.get(stream)
    if (state === undefined || state.isUnborn) return undefined
    const { block: limits } = this.#parts.options
    return listBlocks({ ...this.#surveyRequest(state), ...request, limits, found: this.#damages.of(stream) })
  }

  problems(): readonly StoreProblem[] {
    return this.#parts.health.list()
  }

  async timestampAt(stream: StreamId, offset: number): Promise<number | undefined> {
    const { streams, index } = this.#parts
    const state = streams.get(stream)
    if (state === undefined || offset < state.record.firstOffset) return undefined
    if (offset >= state.record.sealedEnd) return state.timestampInTail(offset)
    for await (const { block } of index.entries(state, { from: offset, to: offset + 1 }, 'asc'))
      return block?.minTimestamp
    return undefined
  }

  tags(prefix: string, limit: number): Promise<TagList> {
    return listTags(this.#parts, prefix, limit)
  }

  previewRetention(limits: ReadonlyMap<string, Retention>): Promise<readonly RetentionChange[]> {
    const { streams, names } = this.#parts
    const own = [...streams.born()].flatMap((state) => {
      const name = streams.isOwn(state) ? names.nameOfStream(state.number) : undefined
      return name === undefined ? [] : [{ name, request: this.#surveyRequest(state) }]
    })
    return previewRetention(own, limits)
  }

  #surveyRequest(state: StreamState): SurveyRequest {
    const { index, options, health } = this.#parts
    const nowMicros = options.clock.nowMicros()
    const isWritable = health.refusal() === undefined
    return {
      state,
      index,
      retention: this.#retentionOf(state),
      nowMicros,
      pruneMicros: isWritable ? nowMicros + Math.round(this.#upkeep.pruneInMs * 1000) : undefined,
      clockJumped: this.#guard.check() !== 0,
    }
  }

  metrics(): StoreMetrics {
    const { counters, options, health, streams, names, usage } = this.#parts
    const { bytes, freeBytes, sizeBytes } = usage.latest()
    return {
      commits: counters.commits,
      committedEvents: counters.committedEvents,
      committedBytes: counters.committedBytes,
      commitSeconds: counters.commitSeconds.snapshot(),
      syncSeconds: counters.syncSeconds.snapshot(),
      pendingAppends: this.#queue.length,
      sealedBlocks: counters.sealedBlocks,
      healedBlocks: counters.healedBlocks,
      prunedBlocks: counters.prunedBlocks,
      prunedEvents: counters.prunedEvents,
      prunedBytes: counters.prunedBytes,
      pruneSeconds: counters.pruneSeconds.snapshot(),
      corruptRecords: counters.corruptRecords,
      pruneAgeSeconds: this.#upkeep.pruneAgeMs / 1000,
      pruneIntervalSeconds: options.pruneIntervalMs / 1000,
      unsealedBytes: this.#upkeep.unsealedBytes,
      unsealedLimitBytes: options.maxUnsealedBytes,
      problems: health.counts(),
      ...contentOf(streams, names),
      bytesOnDisk: bytes,
      diskFreeBytes: freeBytes,
      diskSizeBytes: sizeBytes,
      cacheBytes: this.#blockReader.cacheBytes,
    }
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#shutdown())
  }

  async #shutdown(): Promise<void> {
    const { meta, blocks, head } = this.#parts
    clearInterval(this.#syncTimer)
    await this.#queue.drained()
    await this.#upkeep.stop()
    await this.#disk.stop()
    if (this.#parts.options.sync !== 'always') await this.#syncIfDirty().catch(() => undefined)
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
  for (const { stream, nextOffset, syncedOffset, isReplica } of streams.born()) {
    if (isReplica) continue
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
    (state) => streams.isOwn(state) && state.number > 0 && names.nameOfStream(state.number) === undefined,
  )
  if (unknown !== undefined) {
    health.raise(
      'names',
      `stream ${unknown.stream} has lost its name; restore the data directory from a backup`,
      readOnly,
    )
  }
}

/** What to do about damaged data, where the error does not say it. */
function adviceFor(error: CorruptRecordError | StoreCorruptError): string {
  if (error instanceof CorruptRecordError && isBlockPart(error.place.part)) {
    return '; a node of the swarm that has it gives it back, else restore the data directory from a backup'
  }
  return /backup/.test(error.message) ? '' : '; restore the data directory from a backup'
}

/** Opens the store of a topic, or creates it. */
export function openStore(options: StoreOptions): Promise<Store> {
  return Store.open(options)
}
