import { createHash } from 'node:crypto'
import type { NodeId, StreamId } from '../../core/index.js'
import type { ForkProof, SignedStatement } from '../../storage/index.js'
import { Allowance } from '../allowance.js'
import type { Transport, Verdict } from '../transport.js'
import { decodeAnswer, encodeLive, encodeRequest, MARK_BYTES, MAX_STATEMENT_BYTES, type SyncAnswer } from '../wire.js'
import type { LocalStreams } from './local-streams.js'
import { PeerBudgets } from './peer-budgets.js'
import type { ReplicationLogger } from './replication-logger.js'
import type { SwarmTime } from './swarm-time.js'

/** Forks broadcast by this node: burst, per second. The others are told to who asks. */
const TOLD = [32, 1] as const
/** Forks of one neighbour's broadcasts that are looked at: burst, per second. */
const HEARD = [512, 8] as const
/** Forks given to one question, named in one, and taken from one answer. */
const MAX_FORKS = 1024
/** Bytes given to one question. */
const MAX_GIVEN_BYTES = 1024 * 1024
/** How long an answer may take, ms. */
const PATIENCE_MS = 30_000
/** Until a peer is asked again whose proofs could not be followed here, ms, at first and at most. */
const FIRST_PAUSE_MS = 5_000
const LONGEST_PAUSE_MS = 300_000
/** Blame for what its owner has not signed. */
const FORGED_POINTS = 25

export interface ForkNewsOptions {
  readonly local: LocalStreams
  readonly transport: Transport
  readonly time: SwarmTime
  readonly logger: ReplicationLogger
  /** A statement may tell of events that are missing here. */
  readonly onAhead: (stream: StreamId, from: NodeId) => void
}

/** Until when a peer is not asked, monotonic ms, and after how many questions whose answers proved nothing here. */
interface Pause {
  readonly untilMs: number
  readonly failures: number
}

/**
 * Passes on what shows that a stream has two histories: to all when it is found out, and to peers that turn out not to
 * know it when they are compared with.
 */
export class ForkNews {
  readonly #options: ForkNewsOptions
  readonly #told: Allowance
  readonly #heard: PeerBudgets
  readonly #pauses = new Map<NodeId, Pause>()
  readonly #asking = new Map<NodeId, Promise<void>>()
  /** What is being taken from a broadcast: it is passed on as it came. */
  readonly #taking = new Set<StreamId>()
  readonly #closing = new AbortController()

  constructor(options: ForkNewsOptions) {
    this.#options = options
    this.#told = new Allowance(...TOLD, options.time.monotonicMs())
    this.#heard = new PeerBudgets(options.time, HEARD)
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.all(this.#asking.values())
  }

  gone(peer: NodeId): void {
    this.#pauses.delete(peer)
  }

  /** A stream was frozen here. */
  found({ stream, statements }: ForkProof): void {
    const { local, transport, time, logger } = this.#options
    const isTold = this.#taking.has(stream) || !isTellable(statements) || !local.isShared(stream)
    if (isTold || transport.connectedPeers().length === 0 || !this.#told.take(1, time.monotonicMs())) return
    transport.broadcast(encodeLive({ kind: 'fork', statements })).catch((error: unknown) => {
      if (!this.#closing.signal.aborted) logger.warn({ err: error, stream }, 'a fork could not be announced')
    })
  }

  /** Takes a broadcast. It is passed on when it shows a fork that was not known. */
  async receive(statements: readonly SignedStatement[], from: NodeId): Promise<Verdict> {
    const { local } = this.#options
    const stream = local.streamOf(statements)
    if (stream === undefined) return 'reject'
    if (!this.#heard.take(from, 1)) return 'ignore'
    this.#taking.add(stream)
    try {
      const outcome = await this.#take(statements, from)
      if (outcome === 'malformed') return 'reject'
      return outcome === 'news' ? 'accept' : 'ignore'
    } finally {
      this.#taking.delete(stream)
    }
  }

  /** Asks a peer that knows something else than this node, which may be a fork. */
  ask(peer: NodeId): Promise<void> {
    const running = this.#asking.get(peer)
    if (running !== undefined) return running
    const nowMs = this.#options.time.monotonicMs()
    if (this.#closing.signal.aborted || nowMs < (this.#pauses.get(peer)?.untilMs ?? -Infinity)) return Promise.resolve()
    const asking = this.#ask(peer)
      // A peer that is busy or gone: the next comparison comes.
      .catch(() => undefined)
      .finally(() => this.#asking.delete(peer))
    this.#asking.set(peer, asking)
    return asking
  }

  /** @param known marks of streams whose forks the asking node knows */
  *answer(known: readonly Uint8Array[]): Generator<SyncAnswer> {
    const { local } = this.#options
    const marks = new Set(known.map(textOf))
    let given = 0
    let bytes = 0
    for (const { stream, statements } of local.forks()) {
      if (marks.has(textOf(markOf(stream))) || !isTellable(statements) || !local.isShared(stream)) continue
      bytes += statements.reduce((sum, statement) => sum + statement.bytes.length, 0)
      if (given++ >= MAX_FORKS || bytes > MAX_GIVEN_BYTES) return
      yield { kind: 'fork', statements }
    }
  }

  async #ask(peer: NodeId): Promise<void> {
    const { local, transport, time } = this.#options
    const known = local
      .forks()
      .slice(0, MAX_FORKS)
      .map(({ stream }) => markOf(stream))
    const ending = new AbortController()
    const cancel = time.after(PATIENCE_MS, () => {
      ending.abort()
    })
    const signal = AbortSignal.any([ending.signal, this.#closing.signal])
    const request = encodeRequest({ kind: 'forks', known })
    const counts = { news: 0, other: 0 }
    try {
      for await (const bytes of transport.request(peer, request, { signal })) {
        const answer = decodeAnswer(bytes)
        if (answer?.kind !== 'fork' || counts.news + counts.other >= MAX_FORKS) {
          transport.blame(peer, FORGED_POINTS, 'its answers cannot be read')
          return
        }
        const outcome = await this.#take(answer.statements, peer)
        if (outcome === 'malformed') return
        counts[outcome === 'news' ? 'news' : 'other']++
      }
    } finally {
      cancel()
    }
    this.#pause(peer, counts.news === 0 && counts.other > 0)
  }

  /** What proves nothing here now may do so when more of the stream is held. */
  #pause(peer: NodeId, isInVain: boolean): void {
    const failures = isInVain ? (this.#pauses.get(peer)?.failures ?? 0) + 1 : 0
    const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures)
    this.#pauses.set(peer, { untilMs: this.#options.time.monotonicMs() + pauseMs, failures })
  }

  async #take(statements: readonly SignedStatement[], from: NodeId): Promise<'news' | 'known' | 'malformed'> {
    const { local, transport, onAhead } = this.#options
    const stream = local.streamOf(statements)
    // Of streams that nobody has told of nothing is kept: anybody can make any number of forks of his own.
    const isKnown = stream !== undefined && (local.isOurs(stream) || local.status(stream) !== undefined)
    if (stream !== undefined && !isKnown) return 'known'
    const outcome = stream === undefined ? undefined : await local.takeFork(stream, statements)
    switch (outcome?.kind) {
      case undefined:
      case 'malformed':
        transport.blame(from, FORGED_POINTS, 'it tells of a fork that is none')
        return 'malformed'
      case 'fork':
        return 'news'
      case 'unproven':
        if (stream !== undefined) onAhead(stream, from)
        return 'known'
      case 'frozen':
        return 'known'
    }
  }
}

/** Blocks of very many commits have statements that are too long. */
function isTellable(statements: readonly SignedStatement[]): boolean {
  return statements.every(({ bytes }) => bytes.length <= MAX_STATEMENT_BYTES)
}

/** First bytes of the hash of a stream's id. */
function markOf(stream: StreamId): Buffer {
  return Buffer.from(createHash('sha256').update(stream).digest().subarray(0, MARK_BYTES))
}

function textOf(mark: Uint8Array): string {
  return Buffer.from(mark.buffer, mark.byteOffset, mark.byteLength).toString('latin1')
}
