import { Room, Turns, type Clock, type EventBatch, type NodeId, type StreamId } from '../core/index.js'
import { BlockAdopter } from './block-adopter.js'
import { BlockHealer, type HealOutcome } from './block-healer.js'
import type { BlockReader } from './block-reader.js'
import type { BlockHeader } from './block-header.js'
import { blockSigningBytes } from './block-header.js'
import type { BlockSeal } from './block-seal.js'
import { decodeTransfer, faultOfSignature, verifyTransfer, type VerifiedBlock } from './block-transfer.js'
import { ChainLookup } from './chain-lookup.js'
import type { VerifiedRun } from './commit-run.js'
import type { Database, WriteStep } from './database.js'
import { endOf } from './foreign-parts.js'
import type { ForkProof, SignedStatement } from './fork-proof.js'
import { ForkWatch } from './fork-watch.js'
import { CorruptRecordError } from './corrupt-record.js'
import type { Counters } from './counters.js'
import type { DamagedBlock, Damages } from './damages.js'
import type { Health } from './health.js'
import type { Identity } from './identity.js'
import type { IndexReader } from './index-reader.js'
import { OwnHistory } from './own-history.js'
import { contradictionBetween, type OwnerStatement } from './owner-statement.js'
import { malformed, type ApplyOutcome, type ForkOutcome, type HeadOutcome } from './replica-outcome.js'
import { ReplicaSource, type ReplicaPiece } from './replica-source.js'
import { twoBlocks, type Contradiction } from './contradiction.js'
import type { ReplicaJob } from './replica-writer.js'
import type { Retention } from './retention.js'
import type { Sealer } from './sealer.js'
import { faultOfHead, type SignedHead, type Tip } from './signed-head.js'
import type { StoreLogger } from './store-options.js'
import { loadSeals } from './stored-seal.js'
import { encodeStoredHead } from './stored-head.js'
import type { StreamNames } from './stream-names.js'
import { StreamState } from './stream-state.js'
import type { StreamTable } from './stream-table.js'
import type { Upkeep } from './upkeep.js'

/** How a stream stands here, own or not. */
export interface ReplicaStatus {
  readonly stream: StreamId
  /** Whether this node writes it. */
  readonly own: boolean
  /** Whether this node has written it, also in an earlier epoch or under a former identity: it decides who may have it. */
  readonly written: boolean
  readonly name: string | undefined
  /** Oldest offset that is held. */
  readonly firstOffset: number
  /** Offset after the newest event that is held. */
  readonly nextOffset: number
  /** Chain there. */
  readonly hash: Buffer
  /** The head that reaches farthest of all that were seen, which may be beyond what is held; not of own streams. */
  readonly head: SignedHead | undefined
  /** Begin of the oldest block of the tail whose signature is not known; its owner may not have sealed it yet. */
  readonly unsignedFrom: number | undefined
  readonly frozen: ForkProof | undefined
}

/** What replication is told of at once. Must not throw. */
export interface ReplicaListener {
  /** Own streams have more events on disk. */
  readonly moved?: (streams: readonly StreamId[]) => void
  /** Blocks of own streams were sealed: others that hold their events need the signatures. */
  readonly sealed?: (seals: readonly BlockSeal[]) => void
  readonly frozen?: (proof: ForkProof) => void
  /** A sealed block was found damaged: others may have it. */
  readonly damaged?: (block: DamagedBlock) => void
}

export interface ReplicaStoreOptions {
  readonly topic: string
  readonly identity: Identity
  /** Nodes that this one was before its identity was renewed. */
  readonly formerNodes: readonly NodeId[]
  readonly clock: Clock
  readonly logger: StoreLogger
  readonly meta: Database
  readonly blocks: Database
  readonly streams: StreamTable
  readonly names: StreamNames
  readonly index: IndexReader
  readonly sealer: Sealer
  readonly upkeep: Upkeep
  readonly health: Health
  readonly counters: Counters
  readonly blockReader: BlockReader
  readonly damages: Damages
  readonly alwaysSynced: boolean
  /** Puts a job into a group commit; its outcome is there when it resolves. */
  readonly commit: (job: ReplicaJob, bytes: number) => Promise<unknown>
  /** Tells everybody who follows what is committed. */
  readonly publish: (batches: readonly EventBatch[]) => void
  /** Brings to disk what was committed; with `always` even when it seems to be there. */
  readonly sync: (always: boolean) => Promise<void>
  /** Something stored was found damaged. */
  readonly corrupt: (error: CorruptRecordError) => void
  /** @throws StoreClosedError */
  readonly check: () => void
}

/** Streams of others of which only a head is known. Beyond, new ones are forgotten until there is room. */
const MAX_ANNOUNCED = 65_536

/** Lines of blocks from elsewhere that are inflated and checked at a time, bytes. */
const MAX_CHECKING_BYTES = 32 * 1024 * 1024

/** What a job takes in a group beside its lines, bytes. */
const JOB_OVERHEAD = 1024

/**
 * The store as replication sees it: streams in forms that travel, and what other nodes have written, which is believed
 * for its owner's signature alone. All outcomes that a peer can bring about are values; what is thrown is the store's own
 * trouble (closed, full, disk).
 */
export class ReplicaStore {
  readonly #options: ReplicaStoreOptions
  readonly #chain: ChainLookup
  readonly #source: ReplicaSource
  readonly #forks: ForkWatch
  readonly #adopter: BlockAdopter
  readonly #healer: BlockHealer
  readonly #history: OwnHistory
  readonly #turns = new Turns()
  readonly #room = new Room(MAX_CHECKING_BYTES)
  /** What this node is and was. */
  readonly #authors: readonly NodeId[]
  /** Newest heads beyond what is held. */
  readonly #announced = new Map<StreamId, SignedHead>()
  readonly #listeners = new Set<ReplicaListener>()
  #sealsDurable: Promise<void> | undefined
  #limits: (name: string) => Retention | undefined = () => undefined

  constructor(options: ReplicaStoreOptions) {
    const { streams, alwaysSynced, formerNodes } = options
    this.#options = options
    this.#authors = [streams.nodeId, ...formerNodes]
    this.#chain = new ChainLookup(options.blocks, options.index)
    const chain = this.#chain
    const sealsAreDurable = () => this.#makeSealsDurable()
    this.#source = new ReplicaSource({ ...options, chain, alwaysSynced, sealsAreDurable })
    this.#forks = new ForkWatch({ ...options, chain })
    this.#adopter = new BlockAdopter(options)
    this.#healer = new BlockHealer({ ...options, chain })
    this.#history = new OwnHistory({ ...options, streams })
  }

  /** To be called once, before anything else. */
  async load(): Promise<void> {
    await this.#forks.load()
    for (const head of await this.#history.load()) this.#announce(head)
    await loadSeals(this.#options)
  }

  /** All streams that events are held of, and that were heard of. */
  list(): readonly ReplicaStatus[] {
    const { streams } = this.#options
    const known = new Set<StreamId>(this.#announced.keys())
    for (const { stream } of streams.born()) known.add(stream)
    return [...known].flatMap((stream) => this.status(stream) ?? [])
  }

  /**
   * How many events of each stream are known of and not held. What their owners have pruned by now does not count, nor do
   * own streams, of which nothing is fetched.
   */
  missing(): ReadonlyMap<StreamId, number> {
    const missing = new Map<StreamId, number>()
    for (const [stream, head] of this.#announced) {
      const held = this.#options.streams.get(stream)?.nextOffset ?? 0
      const count = head.nextOffset - Math.max(held, head.firstOffset)
      if (count > 0 && !this.#history.isPresent(stream)) missing.set(stream, count)
    }
    return missing
  }

  /** `undefined` for a stream that nothing is known of. */
  status(stream: StreamId): ReplicaStatus | undefined {
    const { streams, names } = this.#options
    const state = streams.get(stream)
    const head = this.#announced.get(stream) ?? state?.newestHead
    if (state === undefined && head === undefined) return undefined
    const held = state ?? new StreamState(stream)
    const isOurs = state !== undefined && streams.isOwn(state)
    const own = isOurs && !state.isReplica
    return {
      stream,
      own,
      written: this.#authors.some((node) => stream.startsWith(node)),
      name: isOurs ? names.nameOfStream(held.number) : head?.name,
      firstOffset: held.record.firstOffset,
      nextOffset: held.nextOffset,
      hash: held.hash,
      head: own ? undefined : head,
      unsignedFrom: held.isReplica ? held.unsigned()?.firstOffset : undefined,
      frozen: held.frozen,
    }
  }

  /** Returns what ends it. From the first call on blocks are sealed so that a power cut cannot undo one. */
  watch(listener: ReplicaListener): () => void {
    this.#listeners.add(listener)
    this.#makeSealsDurable().catch((error: unknown) => {
      this.#options.logger.warn({ err: error }, 'cannot bring the index of blocks to disk')
    })
    return () => this.#listeners.delete(listener)
  }

  /** Own streams have more events on disk. */
  moved(states: readonly StreamState[]): void {
    if (this.#listeners.size === 0) return
    const { streams } = this.#options
    const own = states.filter((state) => streams.isOwn(state) && !state.isReplica).map(({ stream }) => stream)
    if (own.length > 0) for (const { moved } of this.#listeners) moved?.(own)
  }

  /** To be called while the disk works: the head is asked for when it is done. */
  committing(state: StreamState, tip: Tip): void {
    if (this.#listeners.size > 0) this.#source.prepareHead(state, tip)
  }

  signHead(stream: StreamId): Promise<SignedHead | undefined> {
    this.#options.check()
    return this.#source.signHead(stream)
  }

  /**
   * Goes on signing what is pruned of own streams of earlier epochs: nobody else may, and others keep what their owner
   * does. Returns the streams of which there is a newer head now.
   */
  async signPast(): Promise<readonly StreamId[]> {
    this.#options.check()
    const signed: StreamId[] = []
    for (const { stream, isReplica, newestHead } of this.#writtenHere()) {
      if (!isReplica) continue
      const head = await this.#source.signPast(stream, this.#announced.get(stream) ?? newestHead)
      if (head === undefined) continue
      await this.saveHead(head)
      signed.push(stream)
    }
    return signed
  }

  async read(stream: StreamId, from: number, maxBytes: number): Promise<ReplicaPiece | undefined> {
    this.#options.check()
    try {
      return await this.#source.read(stream, from, maxBytes)
    } catch (error) {
      if (error instanceof CorruptRecordError) this.#options.corrupt(error)
      throw error
    }
  }

  /** Sealed blocks that cannot be read as they were written, as far as that was noticed. */
  damagedBlocks(): readonly DamagedBlock[] {
    return this.#options.damages.blocks()
  }

  /** To be called when one was found. */
  foundDamaged(block: DamagedBlock): void {
    for (const { damaged } of this.#listeners) damaged?.(block)
  }

  /** Puts a block, in the form in which {@link read} gives it, in place of a damaged one, of own streams too. */
  healBlock(bytes: Uint8Array): Promise<HealOutcome> {
    this.#options.check()
    return this.#healer.heal(bytes)
  }

  readSeals(stream: StreamId, from: number, limit: number): Promise<readonly BlockSeal[]> {
    this.#options.check()
    return this.#source.readSeals(stream, from, limit)
  }

  /** Brings to disk what was committed, so that heads can be signed of it: for the modes in which commits do not wait. */
  sync(): Promise<void> {
    this.#options.check()
    return this.#options.sync(false)
  }

  /** Takes over commits; durable and visible when it resolves with `applied`. */
  async applyRun(run: VerifiedRun): Promise<ApplyOutcome> {
    this.#options.check()
    if (this.#history.isPresent(run.stream)) {
      await this.#ownHead(run.head)
      return { kind: 'own' }
    }
    this.#options.streams.hearLamport(run.head.lamport)
    const state = this.#stateFor(run.stream, run.from, run.head)
    if (state === undefined) {
      this.#announce(run.head)
      return { kind: 'gap', nextOffset: 0 }
    }
    const isNext = run.from <= state.nextOffset
    if (state.isStopped) {
      this.#heard(run.head)
      return { kind: 'frozen' }
    }
    if (!isNext) await this.#heardAhead(state, run.head)
    if (endOf(run) <= state.nextOffset) {
      // Its head may say of the same events that more is pruned.
      const outcome = await this.#keepHead(state, run.head)
      if (outcome.kind === 'fork' || outcome.kind === 'frozen') return outcome
      this.#heard(run.head)
      await this.applySeals(sealOf(run))
      return { kind: 'known' }
    }
    if (!isNext) await this.#pruneFor(state, run.from)
    const outcome = await this.#applyParts(state, run, run.head, this.#forks.statementOf(run.head))
    // What is pruned goes only when the head that says so is stored: who has dropped something must be able to tell why.
    if (outcome.kind === 'applied') this.#heard(run.head)
    if (outcome.kind === 'gap' || outcome.kind === 'unsealed') this.#announce(run.head)
    return outcome
  }

  /**
   * Takes over a sealed block in the form in which {@link read} gives it. Those of one stream are to come in order; several
   * at a time are checked side by side and share writes.
   *
   * @param sealsAreGone take it even though older blocks lack their signatures, as nobody has those
   */
  async applyBlock(bytes: Uint8Array, sealsAreGone = false): Promise<ApplyOutcome> {
    const { topic, clock, check } = this.#options
    check()
    const transfer = decodeTransfer(bytes)
    if (transfer === undefined) return malformed('it cannot be read')
    const { header } = transfer
    if (this.#history.isPresent(header.stream)) return { kind: 'own' }
    const turn = this.#turns.take(header.stream)
    const lineBytes = header.frames.positions.at(-1) ?? 0
    const room = this.#room.take(lineBytes)
    try {
      await room
      const seen = await this.#seenBefore(header)
      if (seen !== undefined) return seen
      const block = await verifyTransfer(topic, transfer, clock.nowMicros())
      if ('kind' in block) return block
      await turn.before
      const state = this.#stateFor(block.stream, block.from, this.#announced.get(block.stream))
      if (state === undefined) return { kind: 'gap', nextOffset: 0 }
      const placed = this.#placeBlock(state, block, sealsAreGone)
      turn.end()
      const outcome = await placed
      if (outcome.kind === 'applied') await this.#keepAnnounced(state)
      return outcome
    } finally {
      turn.end()
      this.#room.give(lineBytes)
    }
  }

  /** Notes signatures of blocks whose events are held already, so that they are sealed here too. */
  async applySeals(seals: readonly BlockSeal[]): Promise<readonly ApplyOutcome[]> {
    this.#options.check()
    return Promise.all(
      seals.map(async (seal): Promise<ApplyOutcome> => {
        const state = this.#options.streams.get(seal.stream)
        if (state === undefined) return { kind: 'gap', nextOffset: 0 }
        if (!state.isReplica) return { kind: 'own' }
        if (state.isStopped) return { kind: 'frozen' }
        if (seal.nextOffset <= state.record.sealedEnd) return { kind: 'known' }
        const job: ReplicaJob = { kind: 'seal', seal, outcome: undefined }
        await this.#options.commit(job, JOB_OVERHEAD)
        return job.outcome ?? { kind: 'gap', nextOffset: state.nextOffset }
      }),
    )
  }

  /** Keeps a head to pass it on, and learns from it what there is, what its owner has pruned, and whether it lies. */
  async saveHead(head: SignedHead): Promise<HeadOutcome> {
    const { topic, clock, streams, check } = this.#options
    check()
    const fault = faultOfHead(topic, head, clock.nowMicros())
    if (fault !== undefined) return malformed(fault)
    if (this.#history.isPresent(head.stream)) return this.#ownHead(head)
    streams.hearLamport(head.lamport)
    const state = streams.get(head.stream)
    if (state === undefined || head.nextOffset > state.nextOffset) {
      await this.#heardAhead(state, head)
      this.#announce(head)
      return { kind: 'ahead', nextOffset: state?.nextOffset ?? 0 }
    }
    const outcome = await this.#keepHead(state, head)
    this.#heard(head)
    return outcome
  }

  /** Streams with two histories. */
  forks(): readonly ForkProof[] {
    return [...this.#forks.proofs()]
  }

  /**
   * Takes over what a peer has found out: statements of one owner that cannot all be true, by themselves or beside what
   * is held here. The stream is frozen then as if it had been found out here.
   */
  async takeFork(statements: readonly SignedStatement[]): Promise<ForkOutcome> {
    this.#options.check()
    const checked = this.#forks.check(statements)
    if ('kind' in checked) return checked
    const [first, second] = checked
    if (first === undefined) return malformed('it says nothing')
    const known = this.#options.streams.get(first.stream)
    if (known?.frozen !== undefined) return { kind: 'frozen' }
    const contradiction = second === undefined ? undefined : contradictionBetween(first, second)
    const [ours, theirs] = statements
    if (contradiction !== undefined && ours !== undefined && theirs !== undefined) {
      return this.#freeze(known ?? this.#begin(first.stream), contradiction, theirs, [ours])
    }
    for (const [at, statement] of checked.entries()) {
      const signed = statements[at]
      const outcome = signed === undefined ? undefined : await this.#holdAgainst(statement, signed)
      if (outcome?.kind === 'fork') return outcome
    }
    return { kind: 'unproven' }
  }

  /** Whether a statement contradicts what is held here. */
  async #holdAgainst(statement: OwnerStatement, signed: SignedStatement): Promise<HeadOutcome | undefined> {
    if (statement.kind === 'head') return this.saveHead(statement.head)
    const state = this.#options.streams.get(statement.stream)
    if (state === undefined) return undefined
    const contradiction = await this.#forks.contradictionOfBlock(state, statement.block)
    return contradiction === undefined ? undefined : this.#freeze(state, contradiction, signed)
  }

  /** A stream of which no event is held. */
  #begin(stream: StreamId): StreamState {
    const state = new StreamState(stream)
    state.prunedByOwner = this.#announced.get(stream)?.firstOffset ?? 0
    this.#options.streams.add(state)
    return state
  }

  /** Limits of replicas by the name of the stream, tighter than their owners'; `undefined`: as their owners keep them. */
  setLimits(limits: (name: string) => Retention | undefined): void {
    this.#limits = limits
    this.#options.upkeep.wake()
  }

  limitsOf(stream: StreamId): Retention | undefined {
    const head = this.#announced.get(stream) ?? this.#options.streams.get(stream)?.newestHead
    return head === undefined ? undefined : this.#limits(head.name)
  }

  /** Own streams that others have more of than we do: why publishing is refused. */
  get ownAhead(): readonly SignedHead[] {
    return this.#history.ahead()
  }

  /** Grows each time the node goes on from an older backup. */
  get epoch(): number {
    return this.#options.streams.epoch
  }

  /**
   * The operator's decision after a restored backup: events go into new streams from now on, and the old ones are
   * replicas, which others can complete. Returns the new epoch.
   *
   * @param least for who cannot know all epochs that there were
   */
  async beginEpoch(least = 0): Promise<number> {
    const { check, health } = this.#options
    check()
    const isWhole = health.refusal() === undefined
    if (isWhole) await this.handOver()
    const own = this.#writtenHere()
    const ahead = this.#history.ahead()
    const epoch = await this.#history.beginEpoch(least)
    // Once more, of what was published meanwhile.
    if (isWhole) await this.#keepOwnHeads(own)
    for (const head of ahead) this.#announce(head)
    return epoch
  }

  /**
   * Makes own streams ready to be replicas, before an epoch begins or the identity is renewed: complete blocks are sealed,
   * and a signed head of each is kept, so that their names are known and others can be given all of them.
   *
   * @throws what keeps the store from being written
   */
  async handOver(): Promise<void> {
    const { check, health, upkeep } = this.#options
    check()
    const refusal = health.refusal()
    if (refusal !== undefined) throw refusal
    const own = this.#writtenHere()
    await upkeep.exclusively(async () => {
      for (const state of own) await upkeep.sealNow(state)
    })
    await this.#keepOwnHeads(own)
  }

  #writtenHere(): readonly StreamState[] {
    const { streams } = this.#options
    return [...streams.born()].filter((state) => streams.isOwn(state))
  }

  async #keepOwnHeads(own: readonly StreamState[]): Promise<void> {
    const { sync, meta } = this.#options
    await sync(true)
    const heads = await Promise.all(own.map(({ stream }) => this.#source.signHead(stream)))
    const kept = own.flatMap((state, at) => {
      const head = heads[at]
      return head === undefined ? [] : [{ state, head }]
    })
    const steps = kept.map(({ state, head }): WriteStep => {
      return { type: 'put', key: state.keys.at('head', head.blockOffset), value: encodeStoredHead(head) }
    })
    await meta.write(steps, true)
    for (const { state, head } of kept) state.heads = new Map([...state.heads, [head.blockOffset, head]])
  }

  #stateFor(stream: StreamId, from: number, head: SignedHead | undefined): StreamState | undefined {
    const { streams } = this.#options
    let state = streams.get(stream)
    const pruned = [head, this.#announced.get(stream)].map((each) => each?.firstOffset ?? 0)
    if (state === undefined && (from === 0 || pruned.includes(from))) {
      state = this.#begin(stream)
      state.prunedByOwner = Math.max(...pruned)
    }
    return state
  }

  /** Of a head whose signature was checked. */
  #heard({ stream, lamport, firstOffset }: SignedHead): void {
    const { streams, upkeep } = this.#options
    streams.hearLamport(lamport)
    const state = streams.get(stream)
    if (state === undefined || firstOffset <= state.prunedByOwner) return
    state.prunedByOwner = firstOffset
    if (state.record.firstOffset < firstOffset) upkeep.wake()
  }

  /** The same of a head of events that are missing here: stored first, as nothing goes for what would be forgotten. */
  async #heardAhead(state: StreamState | undefined, head: SignedHead): Promise<void> {
    if (state?.isStopped === false && head.firstOffset > state.prunedByOwner) await this.#history.announce(head)
    this.#heard(head)
  }

  #announce(head: SignedHead): void {
    const known = this.#announced.get(head.stream)
    if (known === undefined && this.#announced.size >= MAX_ANNOUNCED) return
    if (known === undefined || isNewer(head, known)) this.#announced.set(head.stream, head)
  }

  /** Before a replica begins anew at what its owner still has, what it held goes like everything that is pruned. */
  async #pruneFor(state: StreamState, from: number): Promise<void> {
    const { upkeep } = this.#options
    const isIdle = state.record.blocks === 0 && state.sealable.length === 0
    if (from <= state.nextOffset || state.prunedByOwner !== from || isIdle) return
    await upkeep.exclusively(async () => {
      await upkeep.sealNow(state)
      await upkeep.pruneNow(state)
    })
  }

  async #applyParts(
    state: StreamState,
    parts: VerifiedRun | VerifiedBlock,
    head: SignedHead | undefined,
    statement: SignedStatement,
  ): Promise<ApplyOutcome> {
    const { blockSignature } = parts
    const job: ReplicaJob = { kind: 'parts', parts, head, blockSignature, outcome: undefined }
    await this.#options.commit(job, JOB_OVERHEAD + parts.parts.reduce((sum, { lines }) => sum + bytesOf(lines), 0))
    const outcome = job.outcome ?? { kind: 'gap', nextOffset: state.nextOffset }
    if (outcome.kind === 'contradiction') return this.#freeze(state, outcome, statement)
    if (outcome.kind === 'applied') this.#forgetAnnounced(state)
    return outcome
  }

  #forgetAnnounced({ stream, nextOffset, newestHead }: StreamState): void {
    const announced = this.#announced.get(stream)
    if (announced === undefined || announced.nextOffset > nextOffset) return
    if (newestHead !== undefined && !isNewer(announced, newestHead)) this.#announced.delete(stream)
  }

  /** A head that was ahead of what was held until now. */
  async #keepAnnounced(state: StreamState): Promise<void> {
    const announced = this.#announced.get(state.stream)
    if (announced === undefined || announced.nextOffset > state.nextOffset) return
    await this.#keepHead(state, announced)
    this.#announced.delete(state.stream)
  }

  async #keepHead(state: StreamState, head: SignedHead): Promise<HeadOutcome> {
    if (state.isStopped) return { kind: 'frozen' }
    const contradiction = await this.#forks.contradictionOf(state, head)
    if (contradiction !== undefined) return this.#freeze(state, contradiction, this.#forks.statementOf(head))
    const newest = state.newestHead
    if (newest !== undefined && !isNewer(head, newest)) return { kind: 'known' }
    const job: ReplicaJob = { kind: 'head', head, outcome: undefined }
    await this.#options.commit(job, JOB_OVERHEAD)
    const outcome = job.outcome
    return outcome === undefined || outcome.kind === 'gap' ? { kind: 'known' } : outcome
  }

  /** What can be said about a block from its header alone, cheaply: peers often offer what is here. */
  async #seenBefore(header: BlockHeader): Promise<ApplyOutcome | undefined> {
    const { topic, streams } = this.#options
    const state = streams.get(header.stream)
    if (state?.isStopped === true) return { kind: 'frozen' }
    const end = header.firstOffset + header.count
    if (state === undefined || end > state.record.sealedEnd) return undefined
    const fault = faultOfSignature(topic, header)
    if (fault !== undefined) return malformed(fault)
    const held = await this.#chain.blockAt(state, end - 1)
    if (held === undefined) return { kind: 'known' }
    if (held.firstOffset === header.firstOffset && held.count === header.count && held.hash.equals(header.hash)) {
      return { kind: 'known' }
    }
    const statement = { bytes: blockSigningBytes(topic, header), signature: header.signature }
    return this.#freeze(state, twoBlocks(end), statement)
  }

  async #placeBlock(state: StreamState, block: VerifiedBlock, sealsAreGone: boolean): Promise<ApplyOutcome> {
    const adopted = await this.#adopter.adopt(state, block, sealsAreGone)
    const outcome = adopted.kind === 'overlap' ? await this.#placeInTail(state, block) : adopted
    return outcome.kind === 'contradiction' ? this.#freeze(state, outcome, block.statement) : outcome
  }

  /** What of a block is held already is not replaced: its rest follows, and the signature seals it. */
  async #placeInTail(state: StreamState, block: VerifiedBlock): Promise<ApplyOutcome | Contradiction> {
    if (endOf(block) > state.nextOffset) return this.#applyParts(state, block, undefined, block.statement)
    const [outcome = { kind: 'known' }] = await this.applySeals(sealOf(block))
    if (outcome.kind !== 'malformed') return outcome
    // The signature is good, so it is our block that is another one.
    return twoBlocks(endOf(block))
  }

  async #ownHead(head: SignedHead): Promise<HeadOutcome> {
    const { streams } = this.#options
    this.#heard(head)
    const state = streams.get(head.stream)
    if (state === undefined || head.nextOffset > state.nextOffset) {
      await this.#history.foundAhead(head)
      return { kind: 'own-ahead' }
    }
    const contradiction = await this.#forks.contradictionOf(state, head)
    if (contradiction === undefined) return { kind: 'known' }
    // Best what was signed of this very place.
    const piece = await this.#source.read(head.stream, head.nextOffset - 1, 1)
    const ours = piece?.kind === 'run' ? piece.run.head : await this.#source.signHead(head.stream)
    const known = ours === undefined ? [] : [this.#forks.statementOf(ours)]
    return this.#freeze(state, contradiction, this.#forks.statementOf(head), known)
  }

  async #freeze(
    state: StreamState,
    contradiction: Contradiction,
    theirs: SignedStatement,
    ours: readonly SignedStatement[] = [],
  ): Promise<Extract<ApplyOutcome, { kind: 'fork' }>> {
    const before = state.frozen
    const proof = await this.#forks.freeze(state, contradiction, theirs, ours)
    if (before === undefined) for (const { frozen } of this.#listeners) frozen?.(proof)
    return { kind: 'fork', proof }
  }

  #makeSealsDurable(): Promise<void> {
    const { sealer, upkeep, sync } = this.#options
    sealer.onSealed ??= (seals) => {
      this.#sealed(seals)
    }
    // Until then blocks were sealed without waiting for the disk.
    this.#sealsDurable ??= upkeep
      .exclusively(() => sync(true))
      .catch((error: unknown) => {
        this.#sealsDurable = undefined
        throw error
      })
    return this.#sealsDurable
  }

  #sealed(seals: readonly BlockSeal[]): void {
    const { streams } = this.#options
    const own = seals.filter(({ stream }) => streams.get(stream)?.isReplica === false)
    if (own.length > 0) for (const { sealed } of this.#listeners) sealed?.(own)
  }
}

function isNewer(head: SignedHead, than: SignedHead): boolean {
  if (head.nextOffset !== than.nextOffset) return head.nextOffset > than.nextOffset
  return (
    head.firstOffset > than.firstOffset ||
    (head.firstOffset === than.firstOffset && head.name !== than.name && head.timeMicros > than.timeMicros)
  )
}

/** The signature of the block that ends with these parts, if it came with them. */
function sealOf(parts: VerifiedRun | VerifiedBlock): readonly BlockSeal[] {
  const { stream, blockOffset: firstOffset, blockSignature: signature } = parts
  return signature === undefined ? [] : [{ stream, firstOffset, nextOffset: endOf(parts), signature }]
}

function bytesOf({ starts }: { readonly starts: Uint32Array }): number {
  return (starts.at(-1) ?? 0) - (starts[0] ?? 0)
}
