import type { Random } from './random.js'

/** What happens to packets on their way from one node to another. */
export interface LinkFaults {
  /** Nothing gets through, and nobody is told. */
  readonly cut: boolean
  /** Chances of a packet, 0 to 1. */
  readonly loss: number
  readonly duplication: number
  /** Way of each packet; with jitter packets overtake each other. */
  readonly delayMs: number
  readonly jitterMs: number
  readonly bitsPerSecond: number
}

export const PERFECT_LINK: LinkFaults = {
  cut: false,
  loss: 0,
  duplication: 0,
  delayMs: 0,
  jitterMs: 0,
  bitsPerSecond: Infinity,
}

/** Packets that wait for a slow link, ms: one more is dropped, as routers do. */
const MAX_WAIT_MS = 500

/** One direction between two nodes. Says what becomes of each packet; carries none. */
export class FaultyLink {
  readonly #random: Random
  #faults = PERFECT_LINK
  /** When the packets before will be through, ms. */
  #freeMs = 0

  constructor(random: Random) {
    this.#random = random
  }

  set(faults: LinkFaults): void {
    this.#faults = faults
  }

  /** @returns after how many ms a packet arrives; once for each time that it does */
  send(bytes: number, nowMs: number): number[] {
    const { cut, loss, duplication, delayMs, jitterMs, bitsPerSecond } = this.#faults
    if (cut || this.#random.chance(loss)) return []
    const beginMs = Math.max(this.#freeMs, nowMs)
    if (beginMs - nowMs > MAX_WAIT_MS) return []
    this.#freeMs = beginMs + (bytes * 8000) / bitsPerSecond
    const arrival = (): number => this.#freeMs - nowMs + delayMs + this.#random.below(jitterMs + 1)
    return this.#random.chance(duplication) ? [arrival(), arrival()] : [arrival()]
  }
}
