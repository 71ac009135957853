import type { NodeId, StreamId } from '../../core/index.js'

/** How well a peer keeps up, in the words of the app API. */
export type PeerQuality = 'LowLatency' | 'HighLatency' | 'PartiallyWorking' | 'NotWorking'

/** Rounds of comparing that a peer may lag behind what was held a round before. */
const LOW_LATENCY_ROUNDS = 2
const HIGH_LATENCY_ROUNDS = 5
/** Streams remembered of one peer. */
const MAX_STREAMS = 10_000

/** How long a peer is asked for nothing whose answers stall or break off, ms: at first, and at most. */
const FIRST_DISTRUST_MS = 2_000
const LONGEST_DISTRUST_MS = 60_000

/** What is known of one connected peer. */
export class PeerRecord {
  /** Events of each stream that it said it holds. */
  readonly #held = new Map<StreamId, number>()
  /** How far we were, in each stream in which it lagged, when it began to lag. */
  #owed = new Map<StreamId, number>()
  #owedSinceMs: number | undefined
  #streams = 0
  #failures = 0
  #distrustedUntilMs = -Infinity
  /** Events that we held and it did not, by stream, at the last comparison. */
  lacks: ReadonlyMap<StreamId, number> = new Map()
  /** Last comparison, µs since 1970. */
  comparedMicros: number | undefined

  heldOf(stream: StreamId): number | undefined {
    return this.#held.get(stream)
  }

  /** It holds a stream at least up to there: it has sent it, or said so. */
  holds(stream: StreamId, nextOffset: number): void {
    if (this.#held.size >= MAX_STREAMS && !this.#held.has(stream)) return
    this.#held.set(stream, Math.max(nextOffset, this.#held.get(stream) ?? 0))
  }

  /** It has less than it was taken to have. */
  disappointed(stream: StreamId): void {
    this.#held.delete(stream)
  }

  /** Its answer stalled or broke off. */
  failed(nowMs: number): void {
    this.#distrustedUntilMs = nowMs + Math.min(LONGEST_DISTRUST_MS, FIRST_DISTRUST_MS * 2 ** this.#failures++)
  }

  /** It answered as it should. */
  gave(): void {
    this.#failures = 0
  }

  /** Whether it is worth while to ask it for events: not while others had to wait for its answers. */
  isTrusted(nowMs: number): boolean {
    return nowMs >= this.#distrustedUntilMs
  }

  /**
   * A comparison is over.
   *
   * @param ours how much we hold of each stream
   * @param lags whether the peer's part of a stream was told apart from ours, so that `held` says how far it is
   */
  compared(ours: ReadonlyMap<StreamId, number>, lags: (stream: StreamId) => boolean, now: Now): void {
    this.comparedMicros = now.micros
    this.#streams = ours.size
    for (const [stream, nextOffset] of ours) if (!lags(stream)) this.#held.set(stream, nextOffset)
    const lagging = [...ours].filter(([stream, nextOffset]) => (this.#held.get(stream) ?? 0) < nextOffset)
    this.lacks = new Map(lagging.map(([stream, nextOffset]) => [stream, nextOffset - (this.#held.get(stream) ?? 0)]))
    for (const [stream, nextOffset] of this.#owed) {
      if ((this.#held.get(stream) ?? 0) >= nextOffset || !ours.has(stream)) this.#owed.delete(stream)
    }
    if (this.#owed.size > 0) return
    this.#owed = new Map(lagging.slice(0, MAX_STREAMS))
    this.#owedSinceMs = this.#owed.size > 0 ? now.ms : undefined
  }

  /** `undefined` before the first comparison. */
  quality(nowMs: number, roundMs: number): PeerQuality | undefined {
    if (this.comparedMicros === undefined) return undefined
    const rounds = this.#owedSinceMs === undefined ? 0 : (nowMs - this.#owedSinceMs) / roundMs
    if (rounds <= LOW_LATENCY_ROUNDS) return 'LowLatency'
    if (rounds <= HIGH_LATENCY_ROUNDS) return 'HighLatency'
    return 2 * this.#owed.size <= this.#streams ? 'PartiallyWorking' : 'NotWorking'
  }
}

export interface Now {
  readonly ms: number
  readonly micros: number
}

/** Connected peers and what is known of them. */
export class PeerBook {
  readonly #records = new Map<NodeId, PeerRecord>()

  connected(peer: NodeId): void {
    if (!this.#records.has(peer)) this.#records.set(peer, new PeerRecord())
  }

  gone(peer: NodeId): void {
    this.#records.delete(peer)
  }

  get(peer: NodeId): PeerRecord | undefined {
    return this.#records.get(peer)
  }

  peers(): readonly NodeId[] {
    return [...this.#records.keys()]
  }
}
