/** Reproducible randomness: the same seed gives the same sequence on every machine (SplitMix32). */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** 0 ≤ n < 2^32, an integer. */
  uint32(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0
    let z = this.#state
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return (z ^ (z >>> 15)) >>> 0
  }

  /** 0 ≤ n < limit, an integer; limit ≤ 2^32. */
  below(limit: number): number {
    return Math.floor((this.uint32() / 0x100000000) * limit)
  }

  chance(probability: number): boolean {
    return this.uint32() / 0x100000000 < probability
  }

  pick<T>(values: readonly T[]): T {
    const value = values[this.below(values.length)]
    if (value === undefined) throw new Error('nothing to pick from')
    return value
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length)
    for (let at = 0; at < length; at++) bytes[at] = this.uint32() & 255
    return bytes
  }
}
