import { parseStreamId, Room, type NodeId, type StreamId } from '../../core/index.js'
import {
  encodeRun,
  faultOfHead,
  placeOfBlock,
  readStatement,
  receiveRun,
  VerifiedRun,
  type ApplyOutcome,
  type BlockSeal,
  type CommitRun,
  type DamagedBlock,
  type ForkOutcome,
  type ForkProof,
  type HealOutcome,
  type HeadOutcome,
  type ReplicaListener,
  type ReplicaPiece,
  type ReplicaStatus,
  type ReplicaStore,
  type SignedHead,
  type SignedStatement,
} from '../../storage/index.js'
import { PeerUnreachableError } from '../transport-errors.js'
import type { ReplicationPolicy } from './policy.js'
import type { SwarmTime } from './swarm-time.js'

/** Lines of large runs that are checked at a time, bytes: a few of them deflated fill the memory of any device. */
const MAX_CHECKING_BYTES = 16 * 1024 * 1024

export interface LocalStreamsOptions {
  readonly nodeId: NodeId
  readonly topic: string
  readonly store: ReplicaStore
  readonly time: SwarmTime
  readonly policy: ReplicationPolicy
  readonly isConnected: (nodeId: NodeId) => boolean
}

/**
 * The store as replication uses it: what the policy keeps here or does not want is not there, and simulated time stands
 * still while the store works.
 */
export class LocalStreams {
  readonly nodeId: NodeId
  readonly #options: LocalStreamsOptions
  #policy: ReplicationPolicy
  /** Foreign streams that were let in, by node. */
  readonly #admitted = new Map<NodeId, Set<StreamId>>()
  #admittedCount = 0
  readonly #signed = new Map<StreamId, SignedHead>()
  /** Of which there is more, or more known, than when {@link takeChanged} was called last. */
  #changed = new Set<StreamId>()
  #refused = 0
  readonly #checking = new Room(MAX_CHECKING_BYTES)

  constructor(options: LocalStreamsOptions) {
    this.nodeId = options.nodeId
    this.#options = options
    this.#policy = options.policy
    for (const { stream } of options.store.list()) this.#note(stream)
    this.#applyLimits()
  }

  get policy(): ReplicationPolicy {
    return this.#policy
  }

  set policy(policy: ReplicationPolicy) {
    this.#policy = policy
    this.#applyLimits()
    for (const { stream, written } of this.all()) if (written) this.#changed.add(stream)
  }

  /** Streams of others that were refused because there are too many. */
  get refused(): number {
    return this.#refused
  }

  /** Whether this node writes the stream, or did in an earlier epoch. */
  isOurs(stream: StreamId): boolean {
    return stream.startsWith(this.nodeId)
  }

  /** Streams that go to others. */
  shared(): readonly ReplicaStatus[] {
    return this.#options.store.list().filter((status) => this.goesToOthers(status))
  }

  all(): readonly ReplicaStatus[] {
    return this.#options.store.list()
  }

  /** Streams of which something was stored or heard since this was called last. */
  takeChanged(): Iterable<StreamId> {
    const changed = this.#changed
    if (changed.size > 0) this.#changed = new Set()
    return changed
  }

  status(stream: StreamId): ReplicaStatus | undefined {
    return this.#options.store.status(stream)
  }

  /** Whether a stream goes to others: `false` too for one that nothing is known of. */
  isShared(stream: StreamId): boolean {
    const status = this.status(stream)
    return status !== undefined && this.goesToOthers(status)
  }

  /**
   * The same of a status that is at hand. What this node has written stays at home also when it is a replica by now; by its
   * own name, whoever is its author.
   */
  goesToOthers({ written, name }: ReplicaStatus): boolean {
    return !written || (name !== undefined && this.#policy.isShared(name))
  }

  /** Whether events of a stream that others have are to be held here. */
  admits(stream: StreamId, name: string): boolean {
    if (this.isOurs(stream)) return true
    if (!this.#policy.isWanted(stream, name)) return false
    const { nodeId } = parseStreamId(stream)
    const ofNode = this.#admitted.get(nodeId)
    if (ofNode?.has(stream) === true) return true
    const { maxStreams, maxStreamsPerNode } = this.#policy
    // Whoever takes all the room with streams of nodes that nobody has ever seen keeps out nobody who is there.
    const hasRoom = this.#admittedCount < maxStreams || this.#options.isConnected(nodeId)
    if (hasRoom && (ofNode?.size ?? 0) < maxStreamsPerNode) return true
    this.#refused++
    return false
  }

  /** A stream was let in, with something that its owner has signed. */
  #note(stream: StreamId): void {
    if (this.isOurs(stream)) return
    const { nodeId } = parseStreamId(stream)
    let ofNode = this.#admitted.get(nodeId)
    if (ofNode?.has(stream) === true) return
    if (ofNode === undefined) this.#admitted.set(nodeId, (ofNode = new Set()))
    ofNode.add(stream)
    this.#admittedCount++
  }

  #applyLimits(): void {
    this.#options.store.setLimits((name) => this.#policy.limitsOf(name))
  }

  watch(listener: ReplicaListener): () => void {
    return this.#options.store.watch({
      ...listener,
      moved: (streams) => {
        for (const stream of streams) this.#changed.add(stream)
        listener.moved?.(streams)
      },
    })
  }

  get ownAhead(): readonly SignedHead[] {
    return this.#options.store.ownAhead
  }

  /** The head of an own stream; signed once for as long as nothing changes, whoever asks for it how often. */
  async signHead(stream: StreamId): Promise<SignedHead | undefined> {
    const status = this.status(stream)
    const known = this.#signed.get(stream)
    const isCurrent = known?.nextOffset === status?.nextOffset && known?.firstOffset === status?.firstOffset
    if (isCurrent && status?.frozen === undefined) return known
    const head = await this.#hold(this.#options.store.signHead(stream))
    if (head !== undefined) this.#signed.set(stream, head)
    return head
  }

  /** Has own streams of earlier epochs signed anew where more of them is pruned. */
  async signPast(): Promise<void> {
    for (const stream of await this.#hold(this.#options.store.signPast())) this.#changed.add(stream)
  }

  read(stream: StreamId, from: number, maxBytes: number): Promise<ReplicaPiece | undefined> {
    return this.#hold(this.#options.store.read(stream, from, maxBytes))
  }

  readSeals(stream: StreamId, from: number, limit: number): Promise<readonly BlockSeal[]> {
    return this.#hold(this.#options.store.readSeals(stream, from, limit))
  }

  encodeRun(run: CommitRun): Promise<Buffer> {
    return this.#hold(encodeRun(run))
  }

  /**
   * @returns why it is not to be believed, in words, when it is not
   * @throws PeerUnreachableError when it has to wait, and who sent it is gone meanwhile
   */
  verifyRun(bytes: Uint8Array, from: NodeId): Promise<VerifiedRun | string> {
    return this.#hold(this.#verifyRun(bytes, from))
  }

  async #verifyRun(bytes: Uint8Array, from: NodeId): Promise<VerifiedRun | string> {
    const { topic, time, isConnected } = this.#options
    const within = async <T>(lineBytes: number, work: () => Promise<T>): Promise<T> => {
      await this.#checking.take(lineBytes)
      try {
        if (!isConnected(from)) throw new PeerUnreachableError(from)
        return await work()
      } finally {
        this.#checking.give(lineBytes)
      }
    }
    const verified = await receiveRun(topic, bytes, time.nowMicros(), within)
    return verified instanceof VerifiedRun ? verified : verified.reason
  }

  /** Whether a head is what its stream's owner has signed. */
  isAuthentic(head: SignedHead): boolean {
    const { topic, time } = this.#options
    return faultOfHead(topic, head, time.nowMicros()) === undefined
  }

  async applyRun(run: VerifiedRun): Promise<ApplyOutcome> {
    const outcome = await this.#hold(this.#options.store.applyRun(run))
    this.#note(run.stream)
    this.#changed.add(run.stream)
    return outcome
  }

  /** @param stream that of the block */
  async applyBlock(stream: StreamId, bytes: Uint8Array, sealsAreGone = false): Promise<ApplyOutcome> {
    const outcome = await this.#hold(this.#options.store.applyBlock(bytes, sealsAreGone))
    if (outcome.kind !== 'malformed') this.#note(stream)
    this.#changed.add(stream)
    return outcome
  }

  /** Sealed blocks of any stream that cannot be read here. */
  damagedBlocks(): readonly DamagedBlock[] {
    return this.#options.store.damagedBlocks()
  }

  /** @param stream that of the block that is wanted */
  async healBlock(stream: StreamId, bytes: Uint8Array): Promise<HealOutcome> {
    const place = placeOfBlock(bytes)
    if (place !== undefined && place.stream !== stream) return { kind: 'malformed', reason: 'it is of another stream' }
    return this.#hold(this.#options.store.healBlock(bytes))
  }

  applySeals(seals: readonly BlockSeal[]): Promise<readonly ApplyOutcome[]> {
    return this.#hold(this.#options.store.applySeals(seals))
  }

  async saveHead(head: SignedHead): Promise<HeadOutcome> {
    const outcome = await this.#hold(this.#options.store.saveHead(head))
    if (outcome.kind !== 'malformed') this.#note(head.stream)
    this.#changed.add(head.stream)
    return outcome
  }

  /** Streams with two histories. */
  forks(): readonly ForkProof[] {
    return this.#options.store.forks()
  }

  /** What statements are about, by the first of them; `undefined` when it is not about a stream of this topic. */
  streamOf([first]: readonly SignedStatement[]): StreamId | undefined {
    return first === undefined ? undefined : readStatement(this.#options.topic, first)?.stream
  }

  /** @param stream that of the statements */
  async takeFork(stream: StreamId, statements: readonly SignedStatement[]): Promise<ForkOutcome> {
    const outcome = await this.#hold(this.#options.store.takeFork(statements))
    this.#changed.add(stream)
    return outcome
  }

  #hold<T>(work: Promise<T>): Promise<T> {
    return this.#options.time.hold(work)
  }
}
