/** Arrival numbers below a bound, one bit each: a store may hold millions. */
export class ArrivalSet {
  readonly bound: number
  readonly #bits: Uint8Array

  /** @param bound numbers from here on are not kept */
  constructor(bound: number) {
    this.bound = bound
    this.#bits = new Uint8Array(Math.ceil(bound / 8))
  }

  add(arrival: number): void {
    if (arrival < this.bound) this.#bits[arrival >> 3] = (this.#bits[arrival >> 3] ?? 0) | (1 << (arrival & 7))
  }

  has(arrival: number): boolean {
    return ((this.#bits[arrival >> 3] ?? 0) & (1 << (arrival & 7))) !== 0
  }
}
