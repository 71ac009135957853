import { Turns, type NodeId, type StreamId } from '../../core/index.js'
import { encodeHead, type ReplicaStatus } from '../../storage/index.js'
import { PeerBusyError } from '../transport-errors.js'
import type { Transport } from '../transport.js'
import {
  decodeRequest,
  encodeAnswer,
  groupItems,
  type HeldHead,
  type KnownHead,
  type SyncAnswer,
  type SyncRequest,
} from '../wire.js'
import type { ForkNews } from './fork-news.js'
import { setBit, type HeadDigester } from './head-digest.js'
import type { LocalStreams } from './local-streams.js'
import { PeerBudgets } from './peer-budgets.js'
import type { SwarmTime } from './swarm-time.js'

/** Lines of one message of an answer, about. */
const PIECE_BYTES = 512 * 1024
/** Seals given to one request. */
const MAX_SEALS = 4096
/** Blame for a request that cannot be read: five of them in a row cut the peer. */
const MALFORMED_POINTS = 20
/**
 * Streams that are gone through for one peer to compare: burst, per second. A comparison is due every few seconds, so an
 * honest peer needs a tenth of it.
 */
const SCANS = [120_000, 40_000] as const
/** What a comparison costs beside its streams. */
const SCAN_BASE = 2000
/** Requests for events of one peer that are answered at once: burst, per second. More of them wait. */
const FETCHES = [20_000, 2_000] as const
const WAIT_MS = 100
/** A piece beyond this is a single event. Until the peer has taken it nothing else is made of events that it has asked for. */
const LARGE_PIECE_BYTES = 2.5 * 1024 * 1024
/** Bytes that a peer may get again over one connection: burst, per second; and what a piece counts at least. */
const REPEATS = [16 * 1024 * 1024, 4 * 1024 * 1024] as const
const MIN_REPEAT_BYTES = 16 * 1024
/** Streams of which it is remembered how far a peer got them. */
const MAX_SERVED = 10_000
/** Blame for a request beyond what is reasonable; it is not answered. */
const GREED_POINTS = 10

export interface AnswererOptions {
  readonly local: LocalStreams
  readonly transport: Transport
  readonly digester: HeadDigester
  readonly forks: ForkNews
  readonly time: SwarmTime
}

/** Answers what other nodes ask, as long as they ask for it with reason. */
export class Answerer {
  readonly #local: LocalStreams
  readonly #transport: Transport
  readonly #digester: HeadDigester
  readonly #forks: ForkNews
  readonly #time: SwarmTime
  readonly #scans: PeerBudgets
  readonly #fetches: PeerBudgets
  readonly #repeats: PeerBudgets
  /** How far each peer got each stream. */
  readonly #served = new Map<NodeId, Map<StreamId, number>>()
  /** What one peer asks for is made one after the other. */
  readonly #turns = new Turns()

  constructor({ local, transport, digester, forks, time }: AnswererOptions) {
    this.#local = local
    this.#transport = transport
    this.#digester = digester
    this.#forks = forks
    this.#time = time
    this.#scans = new PeerBudgets(time, SCANS)
    this.#fetches = new PeerBudgets(time, FETCHES)
    this.#repeats = new PeerBudgets(time, REPEATS)
  }

  /** A peer that connects anew may have lost what it had. */
  gone(peer: NodeId): void {
    this.#served.delete(peer)
  }

  async *answer(peer: NodeId, bytes: Uint8Array, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const request = decodeRequest(bytes)
    if (request === undefined) {
      this.#transport.blame(peer, MALFORMED_POINTS, 'it asks what cannot be read')
      return
    }
    await this.#admit(peer, request)
    const answers = this.#answers(peer, request)[Symbol.asyncIterator]()
    for (;;) {
      const turn = this.#turns.take(`${peer} ${request.kind}`)
      try {
        await turn.before
        if (signal.aborted) return
        const bytes = await nextOf(answers)
        if (bytes === undefined) return
        if (bytes.length <= LARGE_PIECE_BYTES) turn.end()
        yield bytes
      } finally {
        turn.end()
      }
    }
  }

  /** @throws PeerBusyError */
  async #admit(peer: NodeId, { kind }: SyncRequest): Promise<void> {
    if (kind === 'fetch' || kind === 'seals') {
      if (!this.#fetches.take(peer, 1)) await this.#pause()
      return
    }
    if (this.#scans.take(peer, SCAN_BASE)) return
    this.#transport.blame(peer, GREED_POINTS, 'it compares without end')
    throw new PeerBusyError(peer)
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#time.after(WAIT_MS, resolve)
    })
  }

  #answers(peer: NodeId, request: SyncRequest): AsyncIterable<SyncAnswer> {
    switch (request.kind) {
      case 'compare':
        return each([this.#compare(request.digest)])
      case 'heads':
        return this.#heads(peer, request.buckets, request.known)
      case 'fetch':
        return this.#fetch(peer, request.stream, request.from, request.to)
      case 'forks':
        return each(this.#forks.answer(request.known))
      case 'seals':
        return this.#seals(request.stream, request.from, request.limit)
    }
  }

  #compare(theirs: Uint8Array): SyncAnswer {
    const { digest, buckets } = this.#digester.digest()
    return digest.equals(theirs) ? { kind: 'same' } : { kind: 'buckets', digests: buckets }
  }

  async *#heads(peer: NodeId, buckets: Uint8Array, known: readonly KnownHead[]): AsyncGenerator<SyncAnswer> {
    const entries = this.#digester.entriesIn(buckets)
    this.#scans.charge(peer, entries.length + known.length)
    const places = new Map(known.map(({ mark }, at) => [textOf(mark), at]))
    const same = Buffer.alloc(Math.ceil(known.length / 8))
    const differing: { at: number; held: number }[] = []
    const unknown: StreamId[] = []
    for (const { stream, mark, held } of entries) {
      const at = places.get(textOf(mark))
      if (at === undefined) unknown.push(stream)
      else if (known[at]?.held === held) setBit(same, at)
      else differing.push({ at, held })
    }
    if (known.length > 0) yield { kind: 'known', same, held: differing }
    const heads: HeldHead[] = []
    for (const stream of unknown) {
      const status = this.#local.status(stream)
      const head = status === undefined ? undefined : await this.#headOf(status)
      if (status !== undefined && head !== undefined) heads.push({ head, held: status.nextOffset })
    }
    for (const group of groupItems(heads, ({ head }) => head.length)) yield { kind: 'heads', heads: group }
  }

  async #headOf({ stream, own, head }: ReplicaStatus): Promise<Uint8Array | undefined> {
    const newest = own ? await this.#local.signHead(stream) : head
    return newest === undefined ? undefined : encodeHead(newest)
  }

  async *#fetch(peer: NodeId, stream: StreamId, from: number, to: number): AsyncGenerator<SyncAnswer> {
    for (let next = from; next < to && this.#local.isShared(stream);) {
      const piece = await this.#local.read(stream, next, PIECE_BYTES)
      if (piece === undefined) return
      if (piece.kind === 'pruned') {
        yield piece
        return
      }
      const answer: SyncAnswer =
        piece.kind === 'block' ? piece : { kind: 'run', run: await this.#local.encodeRun(piece.run) }
      next = piece.kind === 'block' ? piece.nextOffset : piece.run.head.nextOffset
      if (!this.#mayGet(peer, stream, next, answer.kind === 'block' ? answer.bytes.length : answer.run.length)) return
      yield answer
    }
  }

  /** Notes what a peer gets, and refuses when it asks for the same again and again. */
  #mayGet(peer: NodeId, stream: StreamId, nextOffset: number, bytes: number): boolean {
    let served = this.#served.get(peer)
    if (served === undefined) this.#served.set(peer, (served = new Map<StreamId, number>()))
    const before = served.get(stream) ?? 0
    if (nextOffset > before) {
      served.delete(stream)
      served.set(stream, nextOffset)
      const [oldest] = served.keys()
      if (served.size > MAX_SERVED && oldest !== undefined) served.delete(oldest)
      return true
    }
    if (this.#repeats.take(peer, Math.max(bytes, MIN_REPEAT_BYTES))) return true
    this.#transport.blame(peer, GREED_POINTS, 'it fetches the same events again and again')
    return false
  }

  async *#seals(stream: StreamId, from: number, limit: number): AsyncGenerator<SyncAnswer> {
    if (!this.#local.isShared(stream)) return
    const seals = await this.#local.readSeals(stream, from, Math.min(limit, MAX_SEALS))
    if (seals.length > 0) yield { kind: 'seals', seals }
  }
}

/** The next message of an answer, encoded: what it was made of is not held while the peer takes it. */
async function nextOf(answers: AsyncIterator<SyncAnswer>): Promise<Uint8Array | undefined> {
  const next = await answers.next()
  return next.done === true ? undefined : encodeAnswer(next.value)
}

function textOf(mark: Uint8Array): string {
  return Buffer.from(mark.buffer, mark.byteOffset, mark.byteLength).toString('latin1')
}

async function* each(answers: Iterable<SyncAnswer>): AsyncGenerator<SyncAnswer> {
  for (const answer of answers) yield await Promise.resolve(answer)
}
