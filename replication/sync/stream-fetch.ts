import type { NodeId, StreamId } from '../../core/index.js'
import { AbortedError } from '../../core/index.js'
import type { Transport } from '../transport.js'
import { decodeAnswer, encodeRequest, type SyncAnswer, type SyncRequest } from '../wire.js'
import type { LocalStreams } from './local-streams.js'
import { OrderedPieces, type PieceFailure } from './ordered-pieces.js'
import type { ReplicationCounters } from './replication-counters.js'

/** Events asked of one peer at a time when there are several. */
const SEGMENT_EVENTS = 8192
/** Seals asked for at a time. */
const SEAL_LIMIT = 1024
/** Blame for what is not valid: two such answers cut the peer. */
const MALFORMED_POINTS = 50

/** Offsets [from, to). */
export interface Stretch {
  readonly from: number
  readonly to: number
}

export interface FetchResult {
  /** Peers that did not give what they were asked for. */
  readonly failed: ReadonlySet<NodeId>
  /** Peers that have pruned it. */
  readonly pruned: ReadonlySet<NodeId>
  /** Why the store did not take it. */
  readonly failure: PieceFailure | undefined
}

export interface FetchOptions {
  readonly local: LocalStreams
  readonly transport: Transport
  readonly counters: ReplicationCounters
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
  readonly #pruned = new Set<NodeId>()

  constructor(options: FetchOptions, stream: StreamId, stretch: Stretch, split: boolean, signal: AbortSignal) {
    this.#options = options
    this.#stream = stream
    this.#pieces = new OrderedPieces(options.local, stream, stretch.from)
    this.#segments = split ? segmentsOf(stretch) : [stretch]
    this.#signal = AbortSignal.any([signal, this.#ending.signal])
  }

  async run(sources: readonly NodeId[]): Promise<FetchResult> {
    await Promise.all(sources.map((source) => this.#work(source)))
    await this.#pieces.end()
    return { failed: this.#failed, pruned: this.#pruned, failure: this.#pieces.failure }
  }

  /** As long as there are segments and this peer gives them. One that fails ends all: what is left is shared out anew. */
  async #work(source: NodeId): Promise<void> {
    for (let segment = this.#segments.shift(); segment !== undefined; segment = this.#segments.shift()) {
      if (this.#isOver()) return
      if (await this.#fetch(source, segment)) continue
      if (!this.#isOver()) this.#failed.add(source)
      this.#ending.abort()
      return
    }
  }

  #isOver(): boolean {
    return this.#signal.aborted
  }

  async #fetch(source: NodeId, { from, to }: Stretch): Promise<boolean> {
    const { transport, counters } = this.#options
    let next = from
    try {
      for await (const answer of ask(
        this.#options,
        source,
        { kind: 'fetch', stream: this.#stream, from, to },
        this.#signal,
      )) {
        if (answer.kind === 'pruned') {
          this.#pruned.add(source)
          return false
        }
        if (answer.kind !== 'run' && answer.kind !== 'block') {
          transport.blame(source, MALFORMED_POINTS, 'it answers something else than it was asked')
          return false
        }
        counters.fetchedBytes += answer.kind === 'run' ? answer.run.length : answer.bytes.length
        const reached = await this.#pieces.offer(answer, this.#signal)
        if (reached === undefined) {
          this.#blameFor(source)
          return false
        }
        counters.fetchedEvents += Math.max(0, reached - next)
        next = Math.max(next, reached)
      }
    } catch (error) {
      // The peer's trouble, whatever it is: another one is asked.
      if (!(error instanceof AbortedError)) this.#failed.add(source)
    }
    return next >= to
  }

  #blameFor(source: NodeId): void {
    const { failure } = this.#pieces
    if (failure?.kind !== 'malformed') return
    this.#options.transport.blame(source, MALFORMED_POINTS, `it sends events that are not valid: ${failure.reason}`)
  }
}

/** Asks one peer for signatures of blocks. @returns whether one of them was missing here */
export async function fetchSeals(
  options: FetchOptions,
  stream: StreamId,
  from: number,
  source: NodeId,
  signal: AbortSignal,
): Promise<boolean> {
  let helped = false
  try {
    for await (const answer of ask(options, source, { kind: 'seals', stream, from, limit: SEAL_LIMIT }, signal)) {
      if (answer.kind !== 'seals') return helped
      const outcomes = await options.local.applySeals(answer.seals.filter((seal) => seal.stream === stream))
      if (outcomes.some(({ kind }) => kind === 'applied')) helped = true
    }
  } catch {
    // The peer's trouble: another one is asked.
  }
  return helped
}

async function* ask(
  { transport }: FetchOptions,
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
