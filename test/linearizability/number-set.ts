const FULL_WORD = 0xffff

/** A set of small numbers as bits, which tells itself from other sets by a short text. */
export class NumberSet {
  readonly #words: Uint16Array

  /** For numbers below `limit`. */
  constructor(limit: number) {
    this.#words = new Uint16Array((limit + 15) >> 4)
  }

  has(number: number): boolean {
    return (this.#words[number >> 4]! & (1 << (number & 15))) !== 0
  }

  toggle(number: number): void {
    this.#words[number >> 4]! ^= 1 << (number & 15)
  }

  /**
   * The same for the same sets only, also when something is put behind it. Whole words at the front and empty ones at the
   * end are but counted: in a long history what has had its turn is nearly a prefix.
   */
  fingerprint(): string {
    const words = this.#words
    let from = 0
    let to = words.length
    while (from < to && words[from] === FULL_WORD) from++
    while (to > from && words[to - 1] === 0) to--
    return `${from}:${to}:${String.fromCharCode(...words.subarray(from, to))}`
  }
}
