import { EventBatch, type StreamId } from '../core/index.js'
import { fitsTail, sealTail, type BlockSeal } from './block-seal.js'
import { otherEvents, type Contradiction } from './contradiction.js'
import type { WriteStep } from './database.js'
import { endOf, FOREIGN_LIMITS, hashAt, type ForeignParts } from './foreign-parts.js'
import { lineCount, payloadBytes } from './lines.js'
import { malformed, type ApplyOutcome, type HeadOutcome } from './replica-outcome.js'
import type { SignedHead } from './signed-head.js'
import { encodeStreamRecord, type StreamRecord } from './stream-record.js'
import type { StreamState } from './stream-state.js'
import type { StreamTable } from './stream-table.js'
import { dictionaryOf } from './frames.js'
import type { TailPart } from './tail-block.js'
import { encodeTailRecordAsync } from './tail-record.js'
import { encodeStoredHead } from './stored-head.js'
import { encodeStoredSeal } from './stored-seal.js'

/** Complete blocks of a replica that may wait in memory for their signatures, and bytes of their lines. */
const MAX_UNSIGNED_BLOCKS = 64
const MAX_UNSIGNED_BYTES = 16 * 1024 * 1024

/** Commit parts to take over. What became of them is put into `outcome`. */
export interface PartsJob {
  readonly kind: 'parts'
  readonly parts: ForeignParts
  /** The signed head at their end; blocks come without. */
  readonly head: SignedHead | undefined
  /** The owner's signature of the block that they complete, where it is known. */
  readonly blockSignature: Buffer | undefined
  outcome: ApplyOutcome | Contradiction | undefined
}

/** A newer head of what is held already. */
export interface HeadJob {
  readonly kind: 'head'
  readonly head: SignedHead
  outcome: HeadOutcome | Extract<ApplyOutcome, { kind: 'gap' }> | undefined
}

/** The signature of a block that lies in the tail, or will when the jobs before it are done. */
export interface SealJob {
  readonly kind: 'seal'
  readonly seal: BlockSeal
  outcome: ApplyOutcome | undefined
}

/**
 * Ends the block of an own stream that begins at this offset, if it is still open. A job, since a commit under way counts
 * on the block that was open when it began.
 */
export interface CloseJob {
  readonly kind: 'close'
  readonly stream: StreamId
  readonly firstOffset: number
}

/** What is done between commits beside publishing. */
export type ReplicaJob = PartsJob | HeadJob | SealJob | CloseJob

/** A part that is ready to be written. */
interface NewPart {
  readonly part: TailPart
  readonly beginsBlock: boolean
}

/** What a group of jobs writes, to be put into the batch of a commit. */
export interface ReplicaWrite {
  readonly steps: readonly WriteStep[]
  /** Lamport after the newest of its events. */
  readonly nextLamport: number
  /** Takes over into the streams what was written. */
  readonly apply: () => ReplicaChanges
  /** To be called in the end, whether it was written or not. */
  readonly release: () => void
}

/** What became visible. */
export interface ReplicaChanges {
  readonly batches: readonly EventBatch[]
  readonly states: readonly StreamState[]
  /** Whether a block can be sealed. */
  readonly completedBlock: boolean
}

/** One stream in a group: where it is when the jobs before are taken as done. */
export class ReplicaDraft {
  readonly state: StreamState
  readonly added: NewPart[] = []
  nextOffset: number
  hash: Buffer
  nextLamport: number
  /** First offset, events, payload bytes and dictionary of the open block; without dictionary when it is empty. */
  openOffset: number
  openEvents: number
  openBytes: number
  dictionary: Buffer | undefined
  /** Set when the stream begins anew behind this record, as its owner has pruned what lies between. */
  restart: StreamRecord | undefined
  readonly heads = new Map<number, SignedHead>()
  /** Signatures to be stored, by the first offset of their block. */
  readonly seals = new Map<number, BlockSeal>()
  readonly #steps: WriteStep[] = []

  constructor(state: StreamState) {
    const { open } = state
    this.state = state
    this.nextOffset = state.nextOffset
    this.hash = state.hash
    this.nextLamport = state.nextLamport
    this.openOffset = open.firstOffset
    this.openEvents = open.events
    this.openBytes = open.payloadBytes
    this.dictionary = open.events === 0 ? undefined : open.dictionary
  }

  /** As `StreamState.isStopped`. */
  get isStopped(): boolean {
    return this.nextOffset >= (this.state.frozen?.offset ?? Infinity)
  }

  /** Gives up what is held: nobody has what lies between it and `offset`. */
  begin(offset: number, hash: Buffer): void {
    const { record } = this.state
    this.nextLamport = 0
    this.restart = { ...record, firstOffset: offset, sealedEnd: offset, sealedHash: hash }
    this.added.length = 0
    this.#steps.length = 0
    this.heads.clear()
    this.seals.clear()
    this.nextOffset = offset
    this.hash = hash
    this.#beginBlock()
  }

  async add(parts: ForeignParts): Promise<void> {
    for (const { lines, hash } of parts.parts) {
      if (lines.firstOffset < this.nextOffset) continue
      const beginsBlock = lines.firstOffset === parts.blockOffset
      if (beginsBlock) this.#beginBlock()
      const encoded = await encodeTailRecordAsync(lines, { hash: this.hash, dictionary: this.dictionary })
      this.dictionary ??= dictionaryOf(lines)
      this.added.push({
        part: { lines, hash, frames: encoded.frames, storedBytes: encoded.value.length },
        beginsBlock,
      })
      this.#steps.push({ type: 'put', key: this.state.keys.at('tail', lines.firstOffset), value: encoded.value })
      this.nextOffset += lineCount(lines)
      this.hash = hash
      this.nextLamport = (lines.lamports.at(-1) ?? 0) + 1
      this.openEvents += lineCount(lines)
      this.openBytes += payloadBytes(lines)
    }
  }

  #beginBlock(): void {
    this.openOffset = this.nextOffset
    this.openEvents = 0
    this.openBytes = 0
    this.dictionary = undefined
  }

  /** Begin of the oldest complete block that lacks its signature, when there are too many of them to take more. */
  unsignedFrom(): number | undefined {
    const { closed, sealable } = this.state
    const waiting = closed.slice(sealable.length)
    const bytes = waiting.reduce((sum, { lineBytes }) => sum + lineBytes, 0)
    return waiting.length < MAX_UNSIGNED_BLOCKS && bytes < MAX_UNSIGNED_BYTES ? undefined : waiting[0]?.firstOffset
  }

  steps(): WriteStep[] {
    const { state, restart } = this
    const steps: WriteStep[] = []
    if (restart !== undefined) {
      for (const key of state.tailKeys(state.tail())) steps.push({ type: 'del', key })
      for (const offset of state.heads.keys()) steps.push({ type: 'del', key: state.keys.at('head', offset) })
      steps.push({ type: 'put', key: state.keys.record, value: encodeStreamRecord(state.stream, restart) })
    }
    steps.push(...this.#steps)
    for (const [offset, head] of this.heads) {
      steps.push({ type: 'put', key: state.keys.at('head', offset), value: encodeStoredHead(head) })
    }
    for (const [offset, seal] of this.seals) {
      steps.push({ type: 'put', key: state.keys.at('seal', offset), value: encodeStoredSeal(seal) })
    }
    for (const offset of this.#outdatedHeads()) steps.push({ type: 'del', key: state.keys.at('head', offset) })
    return steps
  }

  /** Whether nothing but this signature proves where its block ends. */
  isOnlyProof({ firstOffset, nextOffset }: BlockSeal): boolean {
    const head = this.heads.get(firstOffset) ?? this.state.heads.get(firstOffset)
    return head === undefined || head.nextOffset < nextOffset
  }

  /** Heads whose block is sealed, once there is a newer one. */
  #outdatedHeads(): number[] {
    if (this.heads.size === 0) return []
    return [...this.state.heads.keys()].filter(
      (offset) => offset < this.state.record.sealedEnd && !this.heads.has(offset),
    )
  }

  /** Takes over into the stream what was written. Returns whether that completed a block. */
  apply(): boolean {
    const { state, restart } = this
    const outdated = this.#outdatedHeads()
    const before = restart === undefined ? state.heads : new Map<number, SignedHead>()
    if (restart !== undefined) state.restart(restart)
    let completedBlock = false
    for (const { part, beginsBlock } of this.added) if (state.restore(part, beginsBlock)) completedBlock = true
    if (this.heads.size === 0) return completedBlock
    const heads = new Map([...before, ...this.heads])
    for (const offset of outdated) heads.delete(offset)
    state.heads = heads
    return completedBlock
  }
}

/** Decides about jobs in the order in which they came, and makes of them what a commit writes. */
export async function prepareReplicas(
  jobs: readonly ReplicaJob[],
  streams: StreamTable,
  topic: string,
): Promise<ReplicaWrite> {
  const group = new ReplicaGroup(streams, topic)
  try {
    for (const job of jobs) await group.decide(job)
  } catch (error) {
    group.release()
    throw error
  }
  return group.write()
}

class ReplicaGroup {
  readonly #streams: StreamTable
  readonly #topic: string
  readonly #drafts = new Map<StreamState, ReplicaDraft>()
  readonly #seals: { readonly state: StreamState; readonly seal: BlockSeal; readonly job: SealJob | undefined }[] = []

  readonly #closes: { readonly state: StreamState; readonly firstOffset: number }[] = []

  constructor(streams: StreamTable, topic: string) {
    this.#streams = streams
    this.#topic = topic
  }

  async decide(job: ReplicaJob): Promise<void> {
    const state = this.#streams.get(streamOf(job))
    if (state === undefined) throw new TypeError('a job for a stream that is not in the table')
    if (job.kind === 'close') {
      this.#closes.push({ state, firstOffset: job.firstOffset })
      return
    }
    if (state.busy === 'blocks') {
      job.outcome = { kind: 'gap', nextOffset: state.nextOffset }
      return
    }
    state.busy = 'commits'
    let draft = this.#drafts.get(state)
    if (draft === undefined) this.#drafts.set(state, (draft = new ReplicaDraft(state)))
    if (job.kind === 'seal') {
      this.#seals.push({ state, seal: job.seal, job })
      const isWanted = draft.added.length === 0 && draft.isOnlyProof(job.seal)
      if (isWanted && fitsTail(state, job.seal, this.#topic)) draft.seals.set(job.seal.firstOffset, job.seal)
    } else if (job.kind === 'head') job.outcome = decideHead(job.head, draft)
    else {
      job.outcome = await decideParts(job, draft)
      if (job.outcome.kind === 'applied') this.#sealWith(job, draft)
    }
  }

  /** The signature that came with the parts, if there is one, is that of the block that they complete. */
  #sealWith({ parts, blockSignature }: PartsJob, draft: ReplicaDraft): void {
    if (blockSignature === undefined) return
    const { stream, blockOffset: firstOffset } = parts
    const seal = { stream, firstOffset, nextOffset: endOf(parts), signature: blockSignature }
    this.#seals.push({ state: draft.state, seal, job: undefined })
    // Its signature was checked with the block; a run has a head.
    if (draft.isOnlyProof(seal)) draft.seals.set(firstOffset, seal)
  }

  write(): ReplicaWrite {
    const touched = [...this.#drafts.values()].filter(({ added, heads, seals }) => {
      return added.length > 0 || heads.size > 0 || seals.size > 0
    })
    return {
      steps: touched.flatMap((draft) => draft.steps()),
      nextLamport: touched.reduce((max, draft) => Math.max(max, draft.nextLamport), 0),
      apply: () => this.#apply(touched),
      release: () => {
        this.release()
      },
    }
  }

  #apply(touched: readonly ReplicaDraft[]): ReplicaChanges {
    let completedBlock = false
    for (const draft of touched) if (draft.apply()) completedBlock = true
    for (const { state, seal, job } of this.#seals) {
      const outcome = sealTail(state, seal, this.#topic)
      if (job !== undefined) job.outcome = outcome
      if (outcome.kind === 'applied') completedBlock = true
    }
    for (const { state, seals } of touched) for (const offset of seals.keys()) state.noteStoredSeal(offset)
    for (const { state, firstOffset } of this.#closes) {
      if (state.open.firstOffset === firstOffset && state.closeOpen()) completedBlock = true
    }
    const batches = touched.flatMap(({ added }) => added.map(({ part }) => new EventBatch(part.lines)))
    return { batches, states: touched.map(({ state }) => state), completedBlock }
  }

  release(): void {
    for (const state of this.#drafts.keys()) state.busy = undefined
  }
}

function streamOf(job: ReplicaJob): StreamId {
  switch (job.kind) {
    case 'parts':
      return job.parts.stream
    case 'head':
      return job.head.stream
    case 'seal':
      return job.seal.stream
    case 'close':
      return job.stream
  }
}

async function decideParts({ parts, head }: PartsJob, draft: ReplicaDraft): Promise<ApplyOutcome | Contradiction> {
  const { state } = draft
  if (draft.isStopped) return { kind: 'frozen' }
  if (endOf(parts) <= draft.nextOffset) return { kind: 'known' }
  if (parts.from > draft.nextOffset) {
    if (!mayBeginAt(parts, head, state)) return { kind: 'gap', nextOffset: draft.nextOffset }
    draft.begin(parts.from, parts.previousHash)
  }
  if (isInsideDropped(parts, draft)) return { kind: 'known' }
  const contradiction = contradictionOf(parts, draft)
  if (contradiction !== undefined) return contradiction
  const unsigned = draft.unsignedFrom()
  if (unsigned !== undefined) return { kind: 'unsealed', from: unsigned }
  const fault = faultOf(parts, draft)
  if (fault !== undefined) return malformed(fault)
  await draft.add(parts)
  if (head !== undefined) draft.heads.set(head.blockOffset, head)
  return { kind: 'applied', nextOffset: draft.nextOffset }
}

/**
 * Whether the replica may begin with these parts: what lies before them is pruned at the owner, who says so, and what is
 * held of it is gone here too, but for the tail.
 */
function mayBeginAt(parts: ForeignParts, head: SignedHead | undefined, state: StreamState): boolean {
  // While any of it is being sealed, its record is not to be touched.
  const isIdle = state.record.blocks === 0 && state.sealable.length === 0
  // The head that came with them may be older than the prune.
  const isPruned = head?.firstOffset === parts.from || state.prunedByOwner === parts.from
  return isPruned && parts.blockOffset === parts.from && isIdle
}

/** Whether the parts go on with a block whose begin is pruned and dropped, and nothing but. */
function isInsideDropped(parts: ForeignParts, { state, nextOffset, added, restart, hash }: ReplicaDraft): boolean {
  const isEmptied = state.isEmptied && added.length === 0 && restart === undefined
  return isEmptied && parts.blockOffset < nextOffset && hashAt(parts, nextOffset)?.equals(hash) === true
}

function contradictionOf(parts: ForeignParts, draft: ReplicaDraft): Contradiction | undefined {
  const { nextOffset } = draft
  const hash = hashAt(parts, nextOffset)
  const contradiction = (reason: string): Contradiction => {
    return { kind: 'contradiction', offset: nextOffset, reason }
  }
  if (hash === undefined)
    return contradiction(`offset ${String(nextOffset)} ends a commit here and lies inside of one there`)
  if (!hash.equals(draft.hash)) return otherEvents(nextOffset)
  const continues = parts.blockOffset < nextOffset
  if (continues && (draft.openEvents === 0 || draft.openOffset !== parts.blockOffset)) {
    return contradiction(`the blocks before offset ${String(nextOffset)} end at different places`)
  }
  return undefined
}

function faultOf(parts: ForeignParts, draft: ReplicaDraft): string | undefined {
  const fresh = parts.parts.filter(({ lines }) => lines.firstOffset >= draft.nextOffset)
  const continues = parts.blockOffset < draft.nextOffset
  let events = continues ? draft.openEvents : 0
  let bytes = continues ? draft.openBytes : 0
  for (const { lines } of fresh) {
    events += lineCount(lines)
    bytes += payloadBytes(lines)
  }
  const first = fresh[0]?.lines.lamports[0] ?? 0
  if (first < draft.nextLamport) return 'its lamports do not rise'
  if (events > FOREIGN_LIMITS.maxEvents || (events > 1 && bytes > FOREIGN_LIMITS.maxBytes))
    return 'its block is too large'
  return undefined
}

/** A head that says nothing new costs no write: an idle swarm writes nothing. */
function decideHead(head: SignedHead, draft: ReplicaDraft): HeadOutcome {
  const { state } = draft
  if (draft.isStopped) return { kind: 'frozen' }
  if (head.nextOffset > draft.nextOffset) return { kind: 'ahead', nextOffset: draft.nextOffset }
  const newest = [...draft.heads.values()].at(-1) ?? state.newestHead
  const isNews =
    newest === undefined ||
    head.nextOffset > newest.nextOffset ||
    (head.nextOffset === newest.nextOffset && (head.firstOffset > newest.firstOffset || head.name !== newest.name))
  if (!isNews) return { kind: 'known' }
  draft.heads.set(head.blockOffset, head)
  return { kind: 'saved' }
}
