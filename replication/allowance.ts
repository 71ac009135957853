/** How much of something a peer may do: a burst, refilled steadily. Time is monotonic, ms. */
export class Allowance {
  readonly #burst: number
  readonly #perMs: number
  #left: number
  #atMs: number

  constructor(burst: number, perSecond: number, nowMs: number) {
    this.#burst = burst
    this.#perMs = perSecond / 1000
    this.#left = burst
    this.#atMs = nowMs
  }

  /** @returns whether it was allowed */
  take(amount: number, nowMs: number): boolean {
    this.#refill(nowMs)
    if (amount > this.#left) return false
    this.#left -= amount
    return true
  }

  /** For what was done already, allowed or not: at most as much is owed as the burst. */
  charge(amount: number, nowMs: number): void {
    this.#refill(nowMs)
    this.#left = Math.max(-this.#burst, this.#left - amount)
  }

  #refill(nowMs: number): void {
    this.#left = Math.min(this.#burst, this.#left + (nowMs - this.#atMs) * this.#perMs)
    this.#atMs = nowMs
  }
}
