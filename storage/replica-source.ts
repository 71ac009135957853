import type { Clock, StreamId } from '../core/index.js'
import { damageOfBlock, encodeBlock } from './block.js'
import type { BlockSeal } from './block-seal.js'
import { encodeTransfer } from './block-transfer.js'
import type { ChainLookup } from './chain-lookup.js'
import type { CommitRun } from './commit-run.js'
import { CorruptRecordError } from './corrupt-record.js'
import type { Identity } from './identity.js'
import { joinLines, lineBytes, lineCount } from './lines.js'
import type { IndexReader } from './index-reader.js'
import { headSigningBytes, type HeadStatement, type SignedHead, type Tip } from './signed-head.js'
import { DEFAULT_STREAM, type StreamNames } from './stream-names.js'
import { beginSaidAt } from './stream-record.js'
import type { StreamState } from './stream-state.js'
import type { StreamTable } from './stream-table.js'
import type { TailBlock, TailPart } from './tail-block.js'

/** What others can be given from an offset on. */
export type ReplicaPiece =
  | { readonly kind: 'run'; readonly run: CommitRun }
  /** A sealed block, which may begin before the offset that was asked for; `bytes` are what `applyBlock` takes. */
  | { readonly kind: 'block'; readonly firstOffset: number; readonly nextOffset: number; readonly bytes: Buffer }
  /** It begins here only later: what lies before was pruned. */
  | { readonly kind: 'pruned'; readonly firstOffset: number }

export interface ReplicaSourceOptions {
  readonly topic: string
  readonly identity: Identity
  readonly clock: Clock
  readonly streams: StreamTable
  readonly names: StreamNames
  readonly index: IndexReader
  readonly chain: ChainLookup
  /** Whether a commit is on disk when it is visible. */
  readonly alwaysSynced: boolean
  /** Resolves when what was sealed up to now cannot be undone by a power cut. */
  readonly sealsAreDurable: () => Promise<void>
}

/** Reads streams in the forms that travel, and signs how far own streams got. */
export class ReplicaSource {
  readonly #options: ReplicaSourceOptions
  /** Heads signed while their events were on the way to the disk; `undefined` where the next one is to be. */
  readonly #prepared = new Map<StreamId, SignedHead | undefined>()

  constructor(options: ReplicaSourceOptions) {
    this.#options = options
  }

  /**
   * How far an own stream got on disk, signed; `undefined` when there is nothing to sign, or nothing that may be. Events
   * that a power cut could take are never signed: their offsets might be used again for others.
   */
  async signHead(stream: StreamId): Promise<SignedHead | undefined> {
    const state = this.#options.streams.get(stream)
    if (state === undefined || !this.#maySign(state)) return undefined
    const tip = await this.#newestTip(state)
    return tip === undefined ? undefined : this.#signNewest(state, tip)
  }

  /**
   * A newer head of an own stream of an earlier epoch, so that others learn what is pruned and where it ends here;
   * `undefined` when `known`, the newest that was seen of it, says all. Others may hold more than this node has left: of an
   * end beyond its own it says again what it has signed before, so it contradicts nobody's events.
   */
  async signPast(stream: StreamId, known: SignedHead | undefined): Promise<SignedHead | undefined> {
    const state = this.#options.streams.get(stream)
    if (state === undefined || !this.#maySign(state)) return undefined
    const begin = Math.max(state.record.firstOffset, known?.firstOffset ?? 0)
    const isAllSaid = known !== undefined && known.firstOffset >= begin && known.nextOffset >= state.nextOffset
    if (isAllSaid) return undefined
    const tip = await this.#newestTip(state)
    if (known !== undefined && known.nextOffset > (tip?.nextOffset ?? 0)) {
      return known.firstOffset < begin ? this.#signStatement({ ...known, firstOffset: begin }) : undefined
    }
    const isOther = tip?.nextOffset === known?.nextOffset && tip?.hash.equals(known?.hash ?? tip.hash) === false
    // Two histories that are equally long: that is a fork, which others are to be told of, and not that it goes on.
    return tip === undefined || isOther ? undefined : this.#sign(state, tip, begin)
  }

  /**
   * What follows on an offset: neighbouring commits of one block of about `maxBytes` of lines at most, or a sealed block.
   * A replica can only give what ends in a head that it holds, which may be more. `undefined` when there is nothing.
   *
   * @throws CorruptRecordError
   */
  async read(stream: StreamId, from: number, maxBytes: number): Promise<ReplicaPiece | undefined> {
    const state = this.#options.streams.get(stream)
    if (state === undefined || state.isUnborn) return undefined
    const { firstOffset, sealedEnd } = state.record
    if (from < firstOffset) return { kind: 'pruned', firstOffset }
    if (from < sealedEnd) return this.#readBlock(state, from)
    const block = state.tail().find((each) => each.firstOffset <= from && each.endOffset > from)
    if (block === undefined) return undefined
    const own = this.#maySign(state)
    const run = own ? this.#readOwn(state, block, from, maxBytes) : readReplica(state, block, from)
    if (run !== undefined) return { kind: 'run', run }
    return own || block.signature === undefined ? undefined : this.#readSigned(block, block.signature)
  }

  /** Signatures of sealed blocks that end after an offset, oldest first. */
  async readSeals(stream: StreamId, from: number, limit: number): Promise<readonly BlockSeal[]> {
    const state = this.#options.streams.get(stream)
    if (state === undefined) return []
    await this.#options.sealsAreDurable()
    const { firstOffset, sealedEnd } = state.record
    const range = { from: Math.max(from, firstOffset), to: sealedEnd }
    const seals: BlockSeal[] = []
    const pages = this.#options.index.pages({ state, selection: { kind: 'all' }, ...range, order: 'asc' })
    for await (const { blocks } of pages) {
      for (const summary of blocks) {
        if (seals.length >= limit) return seals
        const { signature } = await this.#options.chain.header(summary)
        const { firstOffset, count } = summary
        seals.push({ stream, firstOffset, nextOffset: firstOffset + count, signature })
      }
    }
    return seals
  }

  /** An own stream of which there is one history only. */
  #maySign(state: StreamState): boolean {
    return this.#options.streams.isOwn(state) && state.frozen === undefined && !state.damaged && !state.isUnborn
  }

  async #newestTip(state: StreamState): Promise<Tip | undefined> {
    const nextOffset = this.#options.alwaysSynced ? state.tailEnd : state.syncedOffset
    if (nextOffset === 0) return undefined
    const block = state.tail().find((each) => each.firstOffset < nextOffset && each.endOffset >= nextOffset)
    const part = block?.parts.find(({ lines }) => endOfPart(lines) === nextOffset)
    if (block !== undefined) return part === undefined ? undefined : tipOf(block, part)
    const { sealedEnd, sealedHash, nextLamport } = state.record
    // In other modes what was sealed since the last sync is signed with the next one.
    if (nextOffset !== sealedEnd) return undefined
    const [newest] = await this.#options.index.newest(state, 1)
    const current = newest !== undefined && newest.firstOffset + newest.count === sealedEnd
    return {
      nextOffset,
      hash: sealedHash,
      lamport: nextLamport,
      blockOffset: current ? newest.firstOffset : nextOffset,
    }
  }

  /**
   * Signs what will be the newest head if its events come to be on disk, so that nobody has to wait for it then: once
   * for each head that was asked for. It is given to nobody before.
   */
  prepareHead(state: StreamState, tip: Tip): void {
    const { alwaysSynced } = this.#options
    const isWanted = this.#prepared.has(state.stream) && this.#prepared.get(state.stream) === undefined
    if (alwaysSynced && isWanted)
      this.#prepared.set(state.stream, this.#sign(state, tip, beginSaidAt(state.record, tip.nextOffset)))
  }

  #signNewest(state: StreamState, tip: Tip): SignedHead {
    const { stream, number, record } = state
    const firstOffset = beginSaidAt(record, tip.nextOffset)
    const prepared = this.#prepared.get(stream)
    this.#prepared.set(stream, undefined)
    const isPrepared =
      prepared?.nextOffset === tip.nextOffset &&
      prepared.hash.equals(tip.hash) &&
      prepared.firstOffset === firstOffset &&
      prepared.blockOffset === tip.blockOffset &&
      prepared.name === this.#nameOf(number)
    return isPrepared ? prepared : this.#sign(state, tip, firstOffset)
  }

  #nameOf(number: number): string {
    return this.#options.names.nameOfStream(number) ?? DEFAULT_STREAM
  }

  #sign(state: StreamState, tip: Tip, firstOffset: number): SignedHead {
    return this.#signStatement({ stream: state.stream, name: this.#nameOf(state.number), firstOffset, ...tip })
  }

  /** What it says as of now. */
  #signStatement({
    stream,
    name,
    nextOffset,
    hash,
    lamport,
    firstOffset,
    blockOffset,
  }: Omit<HeadStatement, 'timeMicros'>): SignedHead {
    const { topic, identity, clock } = this.#options
    const timeMicros = Math.max(0, clock.nowMicros())
    const statement = { stream, name, nextOffset, hash, lamport, firstOffset, blockOffset, timeMicros }
    return { ...statement, signature: identity.signAtOnce(headSigningBytes(topic, statement)) }
  }

  async #readBlock(state: StreamState, from: number): Promise<ReplicaPiece | undefined> {
    const { chain, streams, sealsAreDurable } = this.#options
    if (streams.isOwn(state)) await sealsAreDurable()
    const summary = await chain.blockAt(state, from)
    if (summary === undefined) return { kind: 'pruned', firstOffset: state.record.firstOffset }
    try {
      const bytes = encodeTransfer(summary, await chain.values(summary))
      return { kind: 'block', firstOffset: summary.firstOffset, nextOffset: summary.firstOffset + summary.count, bytes }
    } catch (error) {
      const pruned = error instanceof CorruptRecordError && error.missing && summary.firstOffset < state.prunedTo
      if (pruned) return { kind: 'pruned', firstOffset: state.prunedTo }
      throw damageOfBlock(summary, error)
    }
  }

  /** A block of a replica's tail of which only its signature proves what comes: it cannot be sealed before older ones are. */
  async #readSigned({ previousHash, parts, dictionary, firstOffset, endOffset }: TailBlock, signature: Buffer) {
    const { topic } = this.#options
    const sign = () => Promise.resolve(signature)
    const { summary, entries } = await encodeBlock({ topic, arrival: 0, previousHash, parts, dictionary, sign })
    const bytes = encodeTransfer(summary, new Map(entries.map(({ part, value }) => [part, value])))
    return { kind: 'block' as const, firstOffset, nextOffset: endOffset, bytes }
  }

  #readOwn(state: StreamState, block: TailBlock, from: number, maxBytes: number): CommitRun | undefined {
    const limit = this.#options.alwaysSynced ? state.tailEnd : state.syncedOffset
    const first = firstPartAfter(block, from)
    const parts: TailPart[] = []
    let bytes = 0
    for (const part of block.parts.slice(first)) {
      bytes += lineBytes(part.lines).length
      if (endOfPart(part.lines) > limit || (parts.length > 0 && bytes > maxBytes)) break
      parts.push(part)
    }
    const last = parts.at(-1)
    if (last === undefined) return undefined
    const tip = tipOf(block, last)
    const isNewest = tip.nextOffset === limit
    const head = isNewest
      ? this.#signNewest(state, tip)
      : this.#sign(state, tip, beginSaidAt(state.record, tip.nextOffset))
    return runOf(block, first, parts, head)
  }
}

/** A replica holds one head per block of the tail: what it covers is what can be given. */
function readReplica(state: StreamState, block: TailBlock, from: number): CommitRun | undefined {
  const head = state.heads.get(block.firstOffset)
  if (head === undefined || head.nextOffset > block.endOffset) return undefined
  const first = firstPartAfter(block, from)
  const parts = block.parts.slice(first).filter(({ lines }) => endOfPart(lines) <= head.nextOffset)
  return parts.length === 0 ? undefined : runOf(block, first, parts, head)
}

/** The newest are asked for most. */
function firstPartAfter({ parts }: TailBlock, from: number): number {
  let first = parts.length
  for (let part = parts[first - 1]; part !== undefined && endOfPart(part.lines) > from; part = parts[first - 1]) first--
  return first
}

/** @param first which part of the block the first of these is */
function runOf(block: TailBlock, first: number, parts: readonly TailPart[], head: SignedHead): CommitRun {
  return {
    from: parts[0]?.lines.firstOffset ?? block.firstOffset,
    previousHash: block.parts[first - 1]?.hash ?? block.previousHash,
    counts: parts.map(({ lines }) => lineCount(lines)),
    lines: lineBytes(joinLines(parts.map(({ lines }) => lines))),
    head,
    blockSignature: head.nextOffset === block.endOffset ? block.signature : undefined,
  }
}

function tipOf(block: TailBlock, { lines, hash }: TailPart): Tip {
  const lamport = (lines.lamports.at(-1) ?? 0) + 1
  return { nextOffset: endOfPart(lines), hash, lamport, blockOffset: block.firstOffset }
}

function endOfPart(lines: TailPart['lines']): number {
  return lines.firstOffset + lineCount(lines)
}
