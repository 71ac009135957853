import type { NodeId } from '../core/index.js'

/** Points that cut a peer. */
const LIMIT = 100
/** Points for one broadcast that the validator rejected. */
export const REJECTED_POINTS = 10
/** Points are halved in this time, ms: an honest peer with a rare fault never comes near the limit. */
const HALF_LIFE_MS = 60_000
/** How long a cut peer is unwanted at first, and at most, ms. */
const FIRST_CUT_MS = 60_000
const LONGEST_CUT_MS = 3_600_000
/** Peers that are remembered. Beyond it the one that was longest without blame is forgotten. */
const MAX_RECORDS = 4096

interface Conduct {
  readonly points: number
  readonly atMs: number
  readonly cuts: number
  readonly cutUntilMs: number
  readonly reason: string
}

const SPOTLESS: Conduct = { points: 0, atMs: 0, cuts: 0, cutUntilMs: -Infinity, reason: '' }

/** What peers did wrong, and who is unwanted because of it. Time is monotonic, ms. */
export class ConductBook {
  readonly #records = new Map<NodeId, Conduct>()

  /** @returns whether the peer has to be cut now */
  blame(peer: NodeId, points: number, nowMs: number): boolean {
    const before = this.#records.get(peer) ?? SPOTLESS
    const sum = decayed(before, nowMs) + points
    this.#store(peer, { ...before, points: sum, atMs: nowMs })
    return sum >= LIMIT
  }

  /** @returns until when the peer is unwanted */
  cut(peer: NodeId, reason: string, nowMs: number): number {
    const before = this.#records.get(peer) ?? SPOTLESS
    const cutUntilMs = nowMs + Math.min(FIRST_CUT_MS * 2 ** before.cuts, LONGEST_CUT_MS)
    this.#store(peer, { points: 0, atMs: nowMs, cuts: before.cuts + 1, cutUntilMs, reason })
    return cutUntilMs
  }

  isCut(peer: NodeId, nowMs: number): boolean {
    return nowMs < (this.#records.get(peer)?.cutUntilMs ?? -Infinity)
  }

  /** Those who are unwanted now, with the end of it and the reason. */
  *cutPeers(nowMs: number): Iterable<{ peer: NodeId; untilMs: number; reason: string }> {
    for (const [peer, { cutUntilMs, reason }] of this.#records) {
      if (nowMs < cutUntilMs) yield { peer, untilMs: cutUntilMs, reason }
    }
  }

  #store(peer: NodeId, conduct: Conduct): void {
    this.#records.delete(peer)
    this.#records.set(peer, conduct)
    if (this.#records.size <= MAX_RECORDS) return
    const [oldest] = this.#records.keys()
    if (oldest !== undefined) this.#records.delete(oldest)
  }
}

function decayed({ points, atMs }: Conduct, nowMs: number): number {
  return points * 0.5 ** (Math.max(0, nowMs - atMs) / HALF_LIFE_MS)
}
