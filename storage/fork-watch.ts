import type { Clock } from '../core/index.js'
import { parseStreamId, type StreamId } from '../core/index.js'
import { blockSigningBytes, type BlockIdentity } from './block-header.js'
import type { ChainLookup } from './chain-lookup.js'
import { otherEvents, type Contradiction } from './contradiction.js'
import { CorruptRecordError } from './corrupt-record.js'
import type { Database } from './database.js'
import { decodeFork, encodeFork, type ForkProof, type SignedStatement } from './fork-proof.js'
import type { Health, ProblemName } from './health.js'
import { KIND, kindRange, streamOfKey } from './keys.js'
import { headSigningBytes, type SignedHead } from './signed-head.js'
import { StoreReadOnlyError } from './store-errors.js'
import type { StoreLogger } from './store-options.js'
import { contradictionBetween, faultOfStatement, readStatement, type OwnerStatement } from './owner-statement.js'
import { malformed, type Malformed } from './replica-outcome.js'
import { StreamState } from './stream-state.js'
import type { StreamTable } from './stream-table.js'

export interface ForkWatchOptions {
  readonly topic: string
  readonly meta: Database
  readonly streams: StreamTable
  readonly chain: ChainLookup
  readonly health: Health
  readonly clock: Clock
  readonly logger: StoreLogger
}

/** Proofs are few: every one of them stops a stream for good. */
const MAX_PROOFS = 10_000
/** Of them, those that are logged: whoever is hostile can have as many streams as he likes. */
const MAX_TOLD = 50

/** Finds out whether a stream has two histories, and stops it then. */
export class ForkWatch {
  readonly #options: ForkWatchOptions
  #told = 0

  constructor(options: ForkWatchOptions) {
    this.#options = options
  }

  /** Streams that were frozen before are again. */
  async load(): Promise<void> {
    const { meta, streams } = this.#options
    for (const [key, value] of await meta.page({ ...kindRange(KIND.fork), limit: MAX_PROOFS })) {
      const stream = streamOfKey(key)
      let state = streams.get(stream)
      if (state === undefined) streams.add((state = new StreamState(stream)))
      this.#stop(state, decodeFork(stream, value))
    }
  }

  /** What a signed head, whose signature was checked, contradicts of that which is held up to there. */
  async contradictionOf(state: StreamState, head: SignedHead): Promise<Contradiction | undefined> {
    const { nextOffset, blockOffset, hash } = head
    for (const known of state.heads.values()) if (known.signature.equals(head.signature)) return undefined
    const place = await this.#place(state, nextOffset)
    if (place === undefined) return undefined
    const at = String(nextOffset)
    const contradiction = (reason: string): Contradiction => ({ kind: 'contradiction', offset: nextOffset, reason })
    if (place.hash === undefined) return contradiction(`offset ${at} ends a commit there and lies inside of one here`)
    if (!place.hash.equals(hash)) return otherEvents(nextOffset)
    if (blockOffset !== nextOffset && place.blockOffset !== blockOffset) {
      return contradiction(`the block before offset ${at} begins at different places`)
    }
    return undefined
  }

  /** The same of a signed block. */
  async contradictionOfBlock(state: StreamState, block: BlockIdentity): Promise<Contradiction | undefined> {
    const { firstOffset, count, hash, previousHash } = block
    const end = firstOffset + count
    const ends = [
      { offset: firstOffset, expected: previousHash, blockOffset: undefined },
      { offset: end, expected: hash, blockOffset: firstOffset },
    ]
    for (const { offset, expected, blockOffset } of ends) {
      const place = await this.#place(state, offset)
      if (place === undefined) continue
      const isSame = place.hash?.equals(expected) === true && (blockOffset ?? place.blockOffset) === place.blockOffset
      if (isSame) continue
      return { kind: 'contradiction', offset, reason: `two blocks end or begin with offset ${String(offset)}` }
    }
    return undefined
  }

  async #place(state: StreamState, offset: number) {
    try {
      return await this.#options.chain.find(state, offset)
    } catch (error) {
      // Damage of our own proves nothing about others.
      if (error instanceof CorruptRecordError) return undefined
      throw error
    }
  }

  /** What a peer has told of a fork, checked: each statement is what the stream's owner has signed. */
  check(statements: readonly SignedStatement[]): readonly OwnerStatement[] | Malformed {
    const { topic, clock } = this.#options
    const read: OwnerStatement[] = []
    for (const each of statements) {
      const statement = readStatement(topic, each)
      if (statement === undefined || statement.stream !== (read[0] ?? statement).stream) {
        return malformed('it cannot be read')
      }
      const fault = faultOfStatement(topic, statement, clock.nowMicros())
      if (fault !== undefined) return malformed(fault)
      read.push(statement)
    }
    return read
  }

  /** Proofs, those of streams of which no event is held too. */
  *proofs(): Generator<ForkProof> {
    for (const { frozen } of this.#options.streams.all()) if (frozen !== undefined) yield frozen
  }

  /**
   * Keeps both statements for good and takes nothing more of the stream from there on. Of a stream that is frozen already
   * the first proof stays, but what it ends before may come earlier.
   *
   * @param known what we hold, where it is at hand
   */
  async freeze(
    state: StreamState,
    { offset, reason }: Contradiction,
    theirs: SignedStatement,
    known: readonly SignedStatement[] = [],
  ): Promise<ForkProof> {
    const { meta, clock } = this.#options
    const ours = state.frozen === undefined ? await this.#ownStatement(state, offset, theirs, known) : undefined
    const before = state.frozen
    if (before !== undefined && before.offset <= offset) return before
    const statements = ours === undefined ? [theirs] : [ours, theirs]
    const found = { stream: state.stream, offset, reason, foundMicros: Math.max(0, clock.nowMicros()), statements }
    const proof = before === undefined ? found : { ...before, offset }
    if (before === undefined) this.#stop(state, proof)
    state.frozen = proof
    await meta.write([{ type: 'put', key: state.keys.fork, value: encodeFork(proof) }], true)
    return proof
  }

  /** Something signed that covers what is held at an offset; best what shows the fork to those who hold nothing. */
  async #ownStatement(
    state: StreamState,
    offset: number,
    theirs: SignedStatement,
    known: readonly SignedStatement[],
  ): Promise<SignedStatement | undefined> {
    const { topic } = this.#options
    const heads = [...state.heads.values()].sort((one, other) => one.nextOffset - other.nextOffset)
    const covering = heads.filter(({ nextOffset }) => nextOffset >= offset).map((head) => this.statementOf(head))
    const blocks = [await this.#blockAt(state, offset - 1), await this.#blockAt(state, offset)].flatMap(
      (each) => each ?? [],
    )
    const other = readStatement(topic, theirs)
    const shows = (ours: SignedStatement): boolean => {
      const statement = other === undefined ? undefined : readStatement(topic, ours)
      return statement !== undefined && other !== undefined && contradictionBetween(statement, other) !== undefined
    }
    const newest = heads.at(-1)
    const rest = newest === undefined ? [] : [this.statementOf(newest)]
    const all = [...known, ...covering, ...blocks, ...rest]
    // Who holds the other history sees it beside what ends soon after the place, even if nobody else does.
    return all.find(shows) ?? known[0] ?? blocks[0] ?? all[0]
  }

  async #blockAt(state: StreamState, offset: number): Promise<SignedStatement | undefined> {
    const { topic, chain } = this.#options
    if (offset < 0 || offset >= state.record.sealedEnd) return undefined
    try {
      const summary = await chain.blockAt(state, offset)
      if (summary === undefined) return undefined
      const header = await chain.header(summary)
      return { bytes: blockSigningBytes(topic, header), signature: header.signature }
    } catch (error) {
      if (error instanceof CorruptRecordError) return undefined
      throw error
    }
  }

  statementOf(head: SignedHead): SignedStatement {
    return { bytes: headSigningBytes(this.#options.topic, head), signature: head.signature }
  }

  #stop(state: StreamState, proof: ForkProof): void {
    const { streams, health, logger } = this.#options
    const { stream, offset, reason } = proof
    state.frozen = proof
    if (this.#told++ < MAX_TOLD) logger.error({ stream, offset, reason }, 'a stream has two histories and is frozen')
    else if (this.#told === MAX_TOLD + 1)
      logger.error({}, 'more streams have two histories; they are listed with the alarms')
    if (streams.isOwn(state) && !state.isReplica) {
      const text = `this node's key is in use elsewhere too: stream ${stream} has two histories (${reason}); ${ADVICE_OWN}`
      health.refusePublishing(forkName(stream), text, (message) => new StoreReadOnlyError(message))
      return
    }
    const { nodeId } = parseStreamId(stream)
    health.raise(
      forkName(stream),
      `node ${nodeId} has written two histories of stream ${stream} (${reason}); ${ADVICE}`,
    )
  }
}

export function forkName(stream: StreamId): ProblemName {
  return `fork ${stream}`
}

const ADVICE =
  'nothing more is taken of it; its key was copied, or it goes on from an older backup: it needs a new identity or a new epoch (there: millrace identity renew, or epoch)'
const ADVICE_OWN =
  'give all but one of the nodes with this key a new identity (millrace identity renew), or begin a new epoch when this one ' +
  'was restored from a backup (millrace identity epoch)'
