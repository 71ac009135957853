import type { NodeId, StreamId } from '../../core/index.js'
import { AbortedError } from '../../core/index.js'
import type { Transport } from '../transport.js'
import { decodeAnswer, encodeRequest, type SyncAnswer, type SyncRequest } from '../wire.js'
import type { LocalStreams } from './local-streams.js'
import { OrderedPieces, type FetchedPiece, type PieceFailure } from './ordered-pieces.js'
import type { ReplicationCounters } from './replication-counters.js'
import type { SwarmTime } from './swarm-time.js'

/** Events asked of one peer at a time when there are several. */
const SEGMENT_EVENTS = 8192
/** Seals asked for at a time. */
const SEAL_LIMIT = 1024
/** Blame for what is not valid: two such answers cut the peer. */
const MALFORMED_POINTS = 50
/** Blame for seals that fit nothing: whoever follows another history of a stream means no harm. */
const WRONG_SEAL_POINTS = 10

/** Offsets [from, to). */
export interface Stretch {
  readonly from: number
  readonly to: number
}

export interface FetchResult {
  /** Peers that did not give what they were asked for. */
  readonly failed: ReadonlySet<NodeId>
  /** Those of them whose answers did not come, came too slowly or broke off. */
  readonly unreliable: ReadonlySet<NodeId>
  /** Peers that have pruned it. */
  readonly pruned: ReadonlySet<NodeId>
  /** Why the store did not take it. */
  readonly failure: PieceFailure['outcome'] | undefined
}

export interface FetchOptions {
  readonly local: LocalStreams
  readonly transport: Transport
  readonly counters: ReplicationCounters
  readonly time: SwarmTime
  /** How long the next piece of an answer may take, ms. */
  readonly patienceMs: number
  /** Nobody has the signatures of blocks that lie before. */
  readonly sealsAreGone: boolean
}

/**
 * Fetches a stretch of a stream from some peers. Each takes the next segment when it is done with one; what comes is
 * stored in order, so that the stream advances block by block and nothing is fetched twice after an interruption.
 */
export async function fetchStretch(
  options: FetchOptions,
  stream: StreamId,
  stretch: Stretch,
  sources: readonly NodeId[],
  signal: AbortSignal,
): Promise<FetchResult> {
  const fetch = new StretchFetch(options, stream, stretch, sources.length > 1, signal)
  return fetch.run(sources)
}

class StretchFetch {
  readonly #options: FetchOptions
  readonly #stream: StreamId
  readonly #pieces: OrderedPieces
  /** Not begun yet, lowest first. */
  readonly #segments: Stretch[]
  readonly #ending = new AbortController()
  readonly #signal: AbortSignal
  readonly #failed = new Set<NodeId>()
  readonly #unreliable = new Set<NodeId>()
  readonly #pruned = new Set<NodeId>()

  constructor(options: FetchOptions, stream: StreamId, stretch: Stretch, split: boolean, signal: AbortSignal) {
    this.#options = options
    this.#stream = stream
    this.#pieces = new OrderedPieces(options.local, stream, stretch.from, options.sealsAreGone)
    this.#segments = split ? segmentsOf(stretch) : [stretch]
    this.#signal = AbortSignal.any([signal, this.#ending.signal])
  }

  async run(sources: readonly NodeId[]): Promise<FetchResult> {
    await Promise.all(sources.map((source) => this.#work(source)))
    await this.#pieces.end()
    const { failure } = this.#pieces
    if (failure?.outcome.kind === 'malformed') {
      const { source, outcome } = failure
      this.#failed.add(source)
      const words = `it sends events that are not valid: ${outcome.reason}`
      this.#options.transport.blame(source, MALFORMED_POINTS, words)
    }
    return { failed: this.#failed, unreliable: this.#unreliable, pruned: this.#pruned, failure: failure?.outcome }
  }

  /** As long as there are segments and this peer gives them. One that fails ends all: what is left is shared out anew. */
  async #work(source: NodeId): Promise<void> {
    for (let segment = this.#segments.shift(); segment !== undefined; segment = this.#segments.shift()) {
      if (this.#isOver()) return
      if (await this.#fetch(source, segment)) continue
      if (!this.#isOver() && this.#pieces.failure === undefined) this.#failed.add(source)
      this.#ending.abort()
      return
    }
  }

  #isOver(): boolean {
    return this.#signal.aborted
  }

  async #fetch(source: NodeId, { from, to }: Stretch): Promise<boolean> {
    const { counters } = this.#options
    const patience = new Patience(this.#options, this.#signal)
    const request = { kind: 'fetch', stream: this.#stream, from, to } as const
    let next = from
    try {
      for await (const answer of ask(this.#options, source, request, patience.signal)) {
        patience.end()
        if (!this.#isPiece(answer, source, next < to)) return false
        counters.fetchedBytes += answer.kind === 'run' ? answer.run.length : answer.bytes.length
        const reached = await this.#pieces.offer(answer, source, next, this.#signal)
        if (reached === undefined) return false
        counters.fetchedEvents += reached - next
        next = reached
        patience.begin()
      }
    } catch (error) {
      // The peer's trouble, whatever it is: another one is asked.
      if (!(error instanceof AbortedError) || patience.isOver) this.#unreliable.add(source)
    } finally {
      patience.end()
    }
    return next >= to
  }

  /** Whether it is something that may follow. */
  #isPiece(answer: SyncAnswer, source: NodeId, isWanted: boolean): answer is FetchedPiece {
    if (answer.kind === 'pruned') {
      this.#pruned.add(source)
      return false
    }
    if (isWanted && (answer.kind === 'run' || answer.kind === 'block')) return true
    this.#options.transport.blame(source, MALFORMED_POINTS, 'it answers something else than it was asked')
    return false
  }
}

/** Ends a request when the next piece of its answer does not come. */
class Patience {
  readonly #options: FetchOptions
  readonly #over = new AbortController()
  readonly signal: AbortSignal
  #cancel: (() => void) | undefined

  constructor(options: FetchOptions, signal: AbortSignal) {
    this.#options = options
    this.signal = AbortSignal.any([signal, this.#over.signal])
    this.begin()
  }

  get isOver(): boolean {
    return this.#over.signal.aborted
  }

  begin(): void {
    this.#cancel = this.#options.time.after(this.#options.patienceMs, () => {
      this.#over.abort()
    })
  }

  end(): void {
    this.#cancel?.()
  }
}

/** Asks one peer for signatures of blocks. @returns whether one of them was missing here */
export async function fetchSeals(
  options: Pick<FetchOptions, 'local' | 'transport'>,
  stream: StreamId,
  from: number,
  source: NodeId,
  signal: AbortSignal,
): Promise<boolean> {
  const { local, transport } = options
  let helped = false
  let seals = 0
  try {
    for await (const answer of ask(options, source, { kind: 'seals', stream, from, limit: SEAL_LIMIT }, signal)) {
      const isRight = answer.kind === 'seals' && (seals += answer.seals.length) <= SEAL_LIMIT
      if (!isRight || answer.seals.length === 0 || answer.seals.some((seal) => seal.stream !== stream)) {
        transport.blame(source, MALFORMED_POINTS, 'it answers something else than it was asked')
        return helped
      }
      const outcomes = await local.applySeals(answer.seals)
      const wrong = outcomes.find(({ kind }) => kind === 'malformed')
      if (wrong !== undefined) transport.blame(source, WRONG_SEAL_POINTS, 'it sends seals that are not valid')
      if (outcomes.some(({ kind }) => kind === 'applied')) helped = true
    }
  } catch {
    // The peer's trouble: another one is asked.
  }
  return helped
}

async function* ask(
  { transport }: Pick<FetchOptions, 'transport'>,
  peer: NodeId,
  request: SyncRequest,
  signal: AbortSignal,
): AsyncGenerator<SyncAnswer> {
  for await (const bytes of transport.request(peer, encodeRequest(request), { signal })) {
    const answer = decodeAnswer(bytes)
    if (answer === undefined) {
      transport.blame(peer, MALFORMED_POINTS, 'its answers cannot be read')
      return
    }
    yield answer
  }
}

function segmentsOf({ from, to }: Stretch): Stretch[] {
  const segments: Stretch[] = []
  for (let start = from; start < to; start += SEGMENT_EVENTS) {
    segments.push({ from: start, to: Math.min(to, start + SEGMENT_EVENTS) })
  }
  return segments
}
