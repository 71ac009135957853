import type { NodeId, StreamId } from '../../core/index.js'

/** How well a peer keeps up, in the words of the app API. */
export type PeerQuality = 'LowLatency' | 'HighLatency' | 'PartiallyWorking' | 'NotWorking'

/** Rounds of comparing that a peer may lag behind what was held a round before. */
const LOW_LATENCY_ROUNDS = 2
const HIGH_LATENCY_ROUNDS = 5

/** How long a peer is asked for nothing whose answers stall or break off, ms: at first, and at most. */
const FIRST_DISTRUST_MS = 2_000
const LONGEST_DISTRUST_MS = 60_000

/** What is known of one connected peer. */
export class PeerRecord {
  /** Events of each stream that it said it holds, where that is not what is held here. */
  #held: ReadonlyMap<StreamId, number> = new Map()
  /** Streams in which it turned out to have less than it said. */
  readonly #disappointing = new Set<StreamId>()
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

  get held(): ReadonlyMap<StreamId, number> {
    return this.#held
  }

  /** Whether it said that it has something behind an offset that is missing here. */
  hasBehind(stream: StreamId, offset: number): boolean {
    return !this.#disappointing.has(stream) && (this.#held.get(stream) ?? 0) > offset
  }

  /** Whether it had all of a stream that was held here when they last compared. */
  keepsUp(stream: StreamId): boolean {
    return this.comparedMicros !== undefined && !this.lacks.has(stream) && !this.#disappointing.has(stream)
  }

  /** It has less than it was taken to have. */
  disappointed(stream: StreamId): void {
    this.#disappointing.add(stream)
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

  /** A comparison is over. */
  compared({ streams, held, lacks, now }: Comparison): void {
    this.comparedMicros = now.micros
    this.#streams = streams
    this.#held = held
    this.#disappointing.clear()
    this.lacks = new Map(Array.from(lacks, ([stream, { ours, theirs }]) => [stream, ours - theirs]))
    for (const [stream, nextOffset] of this.#owed) {
      if ((lacks.get(stream)?.theirs ?? Infinity) >= nextOffset) this.#owed.delete(stream)
    }
    if (this.#owed.size > 0) return
    this.#owed = new Map(Array.from(lacks, ([stream, { ours }]) => [stream, ours]))
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

/** What came out of comparing with a peer. */
export interface Comparison {
  /** Streams that were compared. */
  readonly streams: number
  /** How much the peer holds of those of which it holds more or less than this node. */
  readonly held: ReadonlyMap<StreamId, number>
  /** Those of which it holds less. */
  readonly lacks: ReadonlyMap<StreamId, { readonly ours: number; readonly theirs: number }>
  /** When it began. */
  readonly now: { readonly ms: number; readonly micros: number }
}

/** Connected peers and what is known of them. */
export class PeerBook {
  readonly #records = new Map<NodeId, PeerRecord>()

  connected(peer: NodeId): void {
    if (!this.#records.has(peer)) this.#records.set(peer, new PeerRecord())
  }

  /** How far peers say that they hold a stream, at most; those left out that turned out to have less. */
  heldAnywhere(stream: StreamId, offset: number): number {
    let most = offset
    for (const record of this.#records.values()) {
      if (record.hasBehind(stream, most)) most = record.held.get(stream) ?? most
    }
    return most
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
