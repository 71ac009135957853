import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  MillraceError,
  toTagSet,
  type EventBatch,
  type NodeId,
  type Publication,
  type StreamId,
} from '../../core/index.js'
import {
  Replicator,
  type MemoryNetwork,
  type ReplicationPolicy,
  type SwarmTime,
  type Transport,
} from '../../replication/index.js'
import {
  DataDirectory,
  KEEP_EVERYTHING,
  openStore,
  type ReplicaStatus,
  type Retention,
  type Store,
  type SyncMode,
} from '../../storage/index.js'
import type { Random } from '../support/random.js'
import { SimulatedDisk, type DiskImage } from './simulated-disk.js'
import { pretendBoot } from './simulated-process.js'

/** Streams of each node: kept whole, bounded, and not shared. */
export const NAMES = ['default', 'orders', 'bounded', 'private'] as const
const BOUNDED = { ...KEEP_EVERYTHING, maxEvents: 30 }

/** Points for which a peer is cut. */
const CUT_POINTS = 100

export interface NodeSettings {
  readonly sync: SyncMode
  readonly block: { readonly maxEvents: number; readonly maxBytes: number }
  /** Own limits for replicas (`replication.keep`), by stream name. */
  readonly keep: ReadonlyMap<string, Retention>
}

/** An event that its publisher was told is stored. */
export interface Acknowledged {
  readonly publication: Publication
  readonly payload: string
}

/** What happens, told as it happens. */
export interface Observer {
  /** Part of the course of events, which has to be the same for the same seed. */
  note(text: string): void
  /** Something that must not happen. */
  fault(text: string): void
  /** Whether a stream may have two histories by now. */
  mayHaveForks(): boolean
}

/** A complete copy of a node's data. */
interface Copy {
  readonly disk: DiskImage
  readonly head: Buffer
}

/** A process: a store, its place in the network, and what replicates. */
interface Life {
  readonly store: Store
  readonly transport: Transport
  readonly replicator: Replicator
  readonly watch: Watch
  alive: boolean
}

/** One node of a simulated swarm: lives on its disk, one after the other. */
export class SimulatedNode {
  readonly name: string
  readonly nodeId: NodeId
  readonly settings: NodeSettings
  readonly disk: SimulatedDisk
  readonly acknowledged: Acknowledged[] = []
  /** The wall clock is off by that, microseconds. */
  skewMicros = 0
  /** Of an older copy: the own history may be forked, events since then lost. */
  restored = false
  readonly #directory: DataDirectory
  readonly #network: MemoryNetwork
  readonly #observer: Observer
  #life: Life | undefined
  #boot = 0
  #backup: Copy | undefined
  /** What was there before it went back for a while. */
  #newest: Copy | undefined
  #changing: Promise<void> = Promise.resolve()
  /** Whether it is to run once what is under way is done. */
  #wanted = false

  private constructor(parts: {
    readonly name: string
    readonly settings: NodeSettings
    readonly disk: SimulatedDisk
    readonly directory: DataDirectory
    readonly network: MemoryNetwork
    readonly observer: Observer
  }) {
    this.name = parts.name
    this.nodeId = parts.directory.nodeId
    this.settings = parts.settings
    this.disk = parts.disk
    this.#directory = parts.directory
    this.#network = parts.network
    this.#observer = parts.observer
  }

  /** Makes its directory with an identity that the seed decides; it does not run yet. */
  static async create(options: {
    readonly name: string
    readonly path: string
    readonly settings: NodeSettings
    readonly network: MemoryNetwork
    readonly random: Random
    readonly observer: Observer
  }): Promise<SimulatedNode> {
    const { path, network, random } = options
    mkdirSync(path, { recursive: true })
    writeFileSync(join(path, 'identity.key'), `${random.bytes(32).toString('hex')}\n`)
    const directory = await DataDirectory.open(path)
    const disk = new SimulatedDisk(path, network.time, random)
    return new SimulatedNode({ ...options, directory, disk })
  }

  get store(): Store | undefined {
    return this.#life?.store
  }

  get transport(): Transport | undefined {
    return this.#life?.transport
  }

  get replicator(): Replicator | undefined {
    return this.#life?.replicator
  }

  /** How its streams stand; nothing while it does not run. */
  replicasOf(): readonly ReplicaStatus[] {
    return this.#life?.store.replicas.list() ?? []
  }

  get isUp(): boolean {
    return this.#life !== undefined
  }

  /** Starts it, after whatever is being done with it. */
  start(neighbours: readonly NodeId[]): Promise<void> {
    this.#wanted = true
    return this.#change(async () => {
      const diskLife = this.disk.life
      try {
        if (this.#life === undefined && this.#wanted) await this.#open(neighbours)
      } catch (error) {
        // Killed while it started, or its disk is full or was so a moment ago: the operator tries again later.
        const wasFull = error instanceof MillraceError && error.code === 'ERR_STORE_FULL'
        if (diskLife === this.disk.life && isWell(this.disk) && !wasFull) throw error
        this.#observer.note(`${this.name} does not start`)
      }
    })
  }

  /** Ends it as an operator does. */
  stop(): Promise<void> {
    this.#wanted = false
    return this.#change(async () => {
      const life = this.#life
      if (life === undefined) return
      this.#observer.note(`${this.name} stops`)
      this.#life = undefined
      await life.replicator.close()
      await life.transport.close()
      await life.store.close()
      life.alive = false
    })
  }

  /** Ends it without a word: the process, or all of the machine. */
  kill(isPowerCut: boolean): void {
    const life = this.#life
    this.#wanted = false
    if (life === undefined) {
      this.disk.crash(isPowerCut)
      return
    }
    this.#observer.note(`${this.name} ${isPowerCut ? 'loses power' : 'is killed'}`)
    this.#life = undefined
    life.alive = false
    life.watch.end()
    this.#network.kill(this.nodeId)
    this.disk.crash(isPowerCut)
    if (isPowerCut) this.#boot++
    // What is left of the process finds that nothing works any more, and gives its file handles back.
    void this.#change(() => life.store.close())
  }

  /** Stops it and keeps a copy of its data. */
  async backUp(): Promise<void> {
    await this.stop()
    if (this.isUp || !existsSync(this.#headFile())) return
    this.#observer.note(`${this.name} is copied`)
    this.#backup = this.#copy()
  }

  get hasBackup(): boolean {
    return this.#backup !== undefined
  }

  /** Goes back to the copy. @param isForAWhile until {@link comeBack}: what is written until then is a second history */
  async restore(isForAWhile: boolean): Promise<void> {
    const backup = this.#backup
    if (backup === undefined) return
    await this.stop()
    if (this.isUp) return
    this.#observer.note(`${this.name} goes back to its copy${isForAWhile ? ' for a while' : ''}`)
    this.restored = true
    this.#newest = isForAWhile ? this.#copy() : undefined
    this.#put(backup)
  }

  async comeBack(): Promise<void> {
    const newest = this.#newest
    if (newest === undefined) return
    await this.stop()
    if (this.isUp) return
    this.#observer.note(`${this.name} goes on where it was before its copy`)
    this.#newest = undefined
    this.#put(newest)
  }

  #copy(): Copy {
    return { disk: this.disk.image(), head: readFileSync(this.#headFile()) }
  }

  #put({ disk, head }: Copy): void {
    this.disk.restore(disk)
    writeFileSync(this.#headFile(), head)
  }

  async publish(payloads: readonly string[], streamNumber: number): Promise<void> {
    if (this.#life === undefined) return
    const { store, watch } = this.#life
    const { newestLamport: seen } = watch
    const timestamp = this.#nowMicros()
    const tags = toTagSet([this.name, `n${streamNumber}`])
    // A restored node goes on in other streams, which its routes name by the same numbers.
    const events = payloads.map((payload) => ({ tags, payload: Buffer.from(JSON.stringify(payload)), streamNumber }))
    try {
      const publications = await store.append({ appId: 'com.example.sim', timestamp, events })
      publications.forEach((publication, at) => {
        const payload = payloads[at] ?? ''
        if (publication.lamport <= seen) this.#observer.fault(`${payload} at ${this.name} has a lamport of the past`)
        this.acknowledged.push({ publication, payload })
        this.#observer.note(
          `${this.name} has ${publication.stream.slice(-3)} ${publication.offset} ${publication.lamport} ${payload}`,
        )
      })
    } catch (error) {
      // Not acknowledged: the process ended meanwhile, or the disk or a fork or a restored backup forbids it.
      this.#observer.note(`${this.name} refuses: ${error instanceof MillraceError ? error.code : String(error)}`)
    }
  }

  /** The operator's decision when others hold more of the own streams, or another history. */
  async decide(): Promise<void> {
    const replicas = this.#life?.store.replicas
    const isForked = this.replicasOf().some(({ own, frozen }) => own && frozen !== undefined)
    if (replicas === undefined || (replicas.ownAhead.length === 0 && !isForked)) return
    this.#observer.note(`${this.name} begins an epoch`)
    await replicas.beginEpoch().catch(() => undefined)
  }

  async close(): Promise<void> {
    await this.stop()
    await this.#directory.close()
    this.disk.remove()
    rmSync(this.#directory.path, { recursive: true, force: true })
  }

  #headFile(): string {
    return join(this.#directory.path, 'topics', 'sim', 'head')
  }

  #nowMicros(): number {
    return this.#network.time.nowMicros() + this.skewMicros
  }

  #change(work: () => Promise<void>): Promise<void> {
    const done = this.#changing.then(work)
    this.#changing = done.catch((error: unknown) => {
      this.#observer.fault(`${this.name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
    })
    return this.#changing
  }

  async #open(neighbours: readonly NodeId[]): Promise<void> {
    const { settings, nodeId } = this
    const { sync, block, keep } = settings
    const { life: diskLife } = this.disk
    const clock = { nowMicros: () => this.#nowMicros(), monotonicMs: () => this.#network.time.monotonicMs() }
    pretendBoot(`${this.name}-${this.#boot}`)
    const state = { alive: true }
    const logger = this.#logger(state)
    const store = await openStore({
      directory: this.#directory,
      topic: 'sim',
      clock,
      logger,
      sync,
      block,
      pruneIntervalMs: 5_000,
      cacheBytes: 256 * 1024,
      maxInFlightBytes: 256 * 1024,
      maxUnsealedBytes: 4 * 1024 * 1024,
      reserveBytes: 4096,
    })
    await store.registerStreams(NAMES)
    store.setRetention(new Map([['bounded', BOUNDED]]))
    if (!this.#wanted || diskLife !== this.disk.life) {
      await store.close()
      return
    }
    const transport = this.#network.join(nodeId, neighbours)
    this.#watchBlame(transport)
    const time: SwarmTime = {
      ...clock,
      after: (delayMs, run) =>
        this.#network.time.after(delayMs, () => {
          if (state.alive) run()
        }),
      hold: (work) => work,
    }
    const policy: ReplicationPolicy = {
      headsIntervalMs: 10_000,
      maxStreams: 10_000,
      maxStreamsPerNode: 256,
      isShared: (name) => name !== 'private',
      isWanted: () => true,
      limitsOf: (name) => keep.get(name),
    }
    const watch = new Watch(store, (text) => {
      if (state.alive) this.#observer.fault(`${this.name}: ${text}`)
    })
    const replicator = new Replicator({ transport, store: store.replicas, topic: 'sim', time, policy, logger })
    this.#life = Object.assign(state, { store, transport, replicator, watch })
    this.#observer.note(`${this.name} is up`)
  }

  /**
   * An honest node has no reason to blame another honest one, but a little for signatures that do not fit: they do not say
   * what block they are of, so nobody can tell those of another history before he hears that there is one.
   */
  #watchBlame(transport: Transport): void {
    const blame = transport.blame.bind(transport)
    const doubts = new Map<NodeId, number>()
    transport.blame = (peer, points, reason) => {
      const sum = (doubts.get(peer) ?? 0) + points
      const isDoubt = /\bseals?\b/.test(reason) && this.#observer.mayHaveForks() && sum < CUT_POINTS
      if (isDoubt) doubts.set(peer, sum)
      else this.#observer.fault(`${this.name} blames an honest node: ${reason}`)
      blame(peer, points, reason)
    }
  }

  #logger(state: { readonly alive: boolean }) {
    const told = (level: string) => (fields: object, message: string) => {
      if (!state.alive) return
      const { err, stream, reason } = fields as { err?: Error; stream?: StreamId; reason?: string }
      const details = [stream?.slice(-7), reason].flatMap((each) => each ?? [])
      this.#observer.note([`${this.name} logs ${message}`, ...details].join(' · '))
      if (isExpected(message, this) || /two histories/.test(message)) return
      this.#observer.fault(`${this.name} logs ${level}: ${message}${err === undefined ? '' : ` (${err.message})`}`)
    }
    return { info: () => undefined, warn: told('a warning'), error: told('an error') }
  }
}

function isWell({ conditions }: SimulatedDisk): boolean {
  return !conditions.isFull && conditions.failing === 0
}

/** What a node says when its disk or its clock misbehaves, or its data are those of an older copy. */
function isExpected(message: string, { restored, disk }: SimulatedNode): boolean {
  // The head file is missing when the node was killed in its very first start.
  if (/the disk (refuses|does not take)|clock jumped|head file is missing/.test(message)) return true
  if (disk.wasHarmed && /could not be (stored|announced|compared)|cannot bring the index/.test(message)) return true
  return restored && /others hold more of an own stream/.test(message)
}

/** A subscription to everything: each event exactly once, in each stream without gaps but for what is pruned. */
class Watch {
  readonly end: () => void
  readonly #store: Store
  readonly #next: Map<StreamId, number>
  readonly #fault: (text: string) => void
  /** Whoever publishes after seeing this gets a higher one. */
  newestLamport = -1

  constructor(store: Store, fault: (text: string) => void) {
    this.#store = store
    this.#fault = fault
    this.#next = new Map([...store.offsets()].map(([stream, offset]) => [stream, offset + 1]))
    this.end = store.onCommit((batches) => {
      for (const batch of batches) this.#take(batch)
    })
  }

  #take(batch: EventBatch): void {
    for (let at = 0; at < batch.length; at++) {
      const { stream, offset, lamport } = batch.event(at)
      const status = this.#store.replicas.status(stream)
      const next = this.#next.get(stream) ?? status?.firstOffset ?? 0
      if (offset < next) this.#fault(`${stream} ${offset} came twice`)
      if (offset > next && (status?.firstOffset ?? 0) <= next) this.#fault(`${stream} ${offset} came before ${next}`)
      this.#next.set(stream, offset + 1)
      this.newestLamport = Math.max(this.newestLamport, lamport)
    }
  }
}
