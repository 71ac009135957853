import type { NodeId, StreamId } from '../../core/index.js'
import { encodeHead, type ForkProof, type ReplicaStatus, type ReplicaStore } from '../../storage/index.js'
import type { Transport, TransportEvent } from '../transport.js'
import { encodeLive, groupItems } from '../wire.js'
import { Announcer } from './announcer.js'
import { Answerer } from './answerer.js'
import { CatchUp, type StuckStream } from './catch-up.js'
import { Comparer } from './comparer.js'
import { ForkNews } from './fork-news.js'
import { HeadDigester } from './head-digest.js'
import { HeadIntake } from './head-intake.js'
import { Healer } from './healer.js'
import { LiveReceiver } from './live-receiver.js'
import { LocalStreams } from './local-streams.js'
import { PeerBook, type PeerQuality } from './peer-book.js'
import type { ReplicationPolicy } from './policy.js'
import { ReplayWatch } from './replay-watch.js'
import { createReplicationCounters, type ReplicationCounters } from './replication-counters.js'
import type { ReplicationLogger } from './replication-logger.js'
import type { SwarmTime } from './swarm-time.js'

/** Rounds after which the own heads are broadcast again though nothing has changed. */
const FULL_ROUNDS = 30

/** What a replicator works with. The transport and the store stay the caller's. */
export interface ReplicatorOptions {
  readonly transport: Transport
  readonly store: ReplicaStore
  readonly topic: string
  readonly time: SwarmTime
  readonly policy: ReplicationPolicy
  readonly logger: ReplicationLogger
}

/** What is known of a connected peer's copy of the swarm's events. */
export interface PeerSync {
  readonly nodeId: NodeId
  /** `undefined` before the first comparison. */
  readonly quality: PeerQuality | undefined
  /** Last comparison, µs since 1970. */
  readonly comparedMicros: number | undefined
  /** Events that this node holds and the peer did not when they last compared, by stream. */
  readonly lacks: ReadonlyMap<StreamId, number>
  /** Up to which offset it held streams then, exclusive, where that was not as far as this node. */
  readonly held: ReadonlyMap<StreamId, number>
}

/**
 * Keeps the streams of a swarm the same on all its nodes: broadcasts what is committed here, takes in what others
 * broadcast, compares with peers what is known and held, and fetches what is missing.
 */
export class Replicator implements AsyncDisposable {
  readonly counters: ReplicationCounters = createReplicationCounters()
  readonly #options: ReplicatorOptions
  readonly #local: LocalStreams
  readonly #peers = new PeerBook()
  readonly #announcer: Announcer
  readonly #receiver: LiveReceiver
  readonly #comparer: Comparer
  readonly #digester: HeadDigester
  readonly #catchUp: CatchUp
  readonly #replays: ReplayWatch
  readonly #answerer: Answerer
  readonly #forks: ForkNews
  readonly #healer: Healer
  /** What was last broadcast of the own streams, by head. */
  #toldHeads = new Map<StreamId, string>()
  #rounds = 0
  #cancelRound: (() => void) | undefined
  readonly #unsubscribe: (() => void)[] = []
  #closed: Promise<void> | undefined

  constructor(options: ReplicatorOptions) {
    this.#options = options
    const { transport, time, logger } = options
    const local = new LocalStreams({
      ...options,
      nodeId: transport.nodeId,
      isConnected: (nodeId) => this.#peers.get(nodeId) !== undefined,
    })
    const digester = new HeadDigester(local)
    this.#digester = digester
    const { counters } = this
    this.#local = local
    this.#replays = new ReplayWatch(time)
    this.#announcer = new Announcer(local, transport, logger)
    const consider = (stream: StreamId, from: NodeId): void => {
      this.#catchUp.consider(stream, from)
    }
    const intake = new HeadIntake(local, transport, consider)
    const forks = new ForkNews({ local, transport, time, logger, onAhead: consider })
    this.#forks = forks
    this.#healer = new Healer({ local, transport, peers: this.#peers, time, logger })
    this.#receiver = new LiveReceiver({
      local,
      transport,
      intake,
      time,
      logger,
      counters,
      replays: this.#replays,
      forks,
      onGap: consider,
    })
    const onDifference = (peer: NodeId): void => void forks.ask(peer)
    this.#comparer = new Comparer({ local, transport, digester, peers: this.#peers, intake, time, onDifference })
    this.#catchUp = new CatchUp({
      local,
      transport,
      peers: this.#peers,
      time,
      logger,
      counters,
      onAdvanced: (stream, from) => this.#receiver.advanced(stream, from),
      onPruned: (peer) => this.#comparer.compare(peer),
    })
    const answerer = new Answerer({ local, transport, digester, forks, time })
    this.#answerer = answerer
    transport.onRequest((peer, request, signal) => answerer.answer(peer, request, signal))
    transport.onBroadcast((message, from) => this.#receiver.receive(message, from))
    this.#unsubscribe.push(
      local.watch({
        moved: (streams) => {
          this.#moved(streams)
        },
        sealed: (seals) => {
          this.#announcer.sealed(seals)
        },
        frozen: (proof) => {
          forks.found(proof)
        },
        damaged: () => {
          this.#healer.consider()
        },
      }),
      transport.subscribe((event) => {
        this.#heardOfPeer(event)
      }),
    )
    for (const peer of transport.connectedPeers()) this.#connected(peer)
    this.#scheduleRound()
  }

  get policy(): ReplicationPolicy {
    return this.#local.policy
  }

  /** Takes effect at once; what is held of streams that are no longer wanted stays. */
  set policy(policy: ReplicationPolicy) {
    this.#local.policy = policy
  }

  /** Events that are known of and not held yet, by stream; only streams that lag. */
  toReplicate(): ReadonlyMap<StreamId, number> {
    const missing = new Map<StreamId, number>()
    for (const status of this.#local.all()) {
      const count = missingOf(status)
      if (count > 0 && this.#local.admits(status.stream, status.head?.name ?? '')) missing.set(status.stream, count)
    }
    return missing
  }

  /** Connected peers. */
  peers(): readonly PeerSync[] {
    const { time } = this.#options
    return this.#peers.peers().flatMap((nodeId) => {
      const record = this.#peers.get(nodeId)
      if (record === undefined) return []
      const quality = record.quality(time.monotonicMs(), this.policy.headsIntervalMs)
      return [{ nodeId, quality, comparedMicros: record.comparedMicros, lacks: record.lacks, held: record.held }]
    })
  }

  /** Streams with two histories. */
  forks(): readonly ForkProof[] {
    return this.#local.forks()
  }

  /** Events that are known of and that no connected node could give. */
  stuck(): readonly StuckStream[] {
    return this.#catchUp.stuck()
  }

  /** Streams of others that were refused because there are too many; counts attempts. */
  get refusedStreams(): number {
    return this.#local.refused
  }

  /** Idempotent. The transport and the store are the caller's to close, in this order, afterwards. */
  close(): Promise<void> {
    return (this.#closed ??= this.#close())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    this.#cancelRound?.()
    for (const unsubscribe of this.#unsubscribe) unsubscribe()
    this.#options.transport.onBroadcast(() => Promise.resolve('ignore'))
    const parts = [this.#announcer, this.#comparer, this.#catchUp, this.#forks, this.#healer]
    await Promise.all(parts.map((part) => part.close()))
    await this.#receiver.close()
  }

  #moved(streams: readonly StreamId[]): void {
    for (const stream of streams) this.#replays.reached(stream, this.#local.status(stream)?.nextOffset ?? 0)
    this.#announcer.moved(streams)
  }

  #heardOfPeer(event: TransportEvent): void {
    if (event.kind === 'connected') this.#connected(event.peer)
    if (event.kind === 'gone') {
      this.#peers.gone(event.peer)
      this.#catchUp.gone(event.peer)
      this.#answerer.gone(event.peer)
      this.#forks.gone(event.peer)
    }
  }

  #connected(peer: NodeId): void {
    this.#peers.connected(peer)
    this.#catchUp.connected(peer)
    this.#healer.connected()
    void this.#comparer.compare(peer)
  }

  #scheduleRound(): void {
    this.#cancelRound = this.#options.time.after(this.policy.headsIntervalMs, () => {
      void this.#round()
      this.#scheduleRound()
    })
  }

  async #round(): Promise<void> {
    this.#healer.consider()
    try {
      await this.#local.signPast()
    } catch (error) {
      if (this.#closed === undefined) this.#options.logger.warn({ err: error }, 'heads could not be stored')
    }
    try {
      // The one look at all streams; everything else costs what has changed.
      const streams = this.#local.all()
      for (const status of streams) if (isIncomplete(status)) this.#catchUp.consider(status.stream)
      const shared = streams.filter((status) => this.#local.goesToOthers(status))
      this.#digester.refresh(shared)
      await this.#tellHeads(shared)
      await this.#comparer.round()
    } catch (error) {
      if (this.#closed === undefined) this.#options.logger.warn({ err: error }, 'heads could not be compared')
    }
  }

  /** Broadcasts the heads of own streams that have changed, those of earlier epochs too, and of all now and then. */
  async #tellHeads(shared: readonly ReplicaStatus[]): Promise<void> {
    if (this.#rounds++ % FULL_ROUNDS === 0) this.#toldHeads.clear()
    const ours = shared.filter(({ own, stream }) => own || this.#local.isOurs(stream))
    const changed = ours.filter((status) => this.#hasNewHead(status))
    const heads: Uint8Array[] = []
    for (const { stream, own, head: kept } of changed) {
      const head = own ? await this.#local.signHead(stream) : kept
      if (head !== undefined) heads.push(encodeHead(head))
    }
    for (const group of groupItems(heads, ({ length }) => length)) {
      await this.#options.transport.broadcast(encodeLive({ kind: 'heads', heads: group }))
    }
  }

  #hasNewHead({ stream, nextOffset, firstOffset }: ReplicaStatus): boolean {
    const text = `${String(nextOffset)} ${String(firstOffset)}`
    if (this.#toldHeads.get(stream) === text) return false
    this.#toldHeads.set(stream, text)
    return true
  }
}

/** Whether events are missing, or signatures may be. */
function isIncomplete(status: ReplicaStatus): boolean {
  return missingOf(status) > 0 || (!status.own && status.unsignedFrom !== undefined)
}

function missingOf({ own, head, nextOffset }: ReplicaStatus): number {
  return own || head === undefined ? 0 : Math.max(0, head.nextOffset - Math.max(nextOffset, head.firstOffset))
}
