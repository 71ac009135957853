/** What a stream may send before others get their turn: a fraction of a millisecond's work. */
const BYTES_PER_TURN = 256 * 1024
const CHUNKS_PER_TURN = 64

/**
 * Lets a stream give way. While both the store and the kernel are quick, a stream would otherwise run from one promise to
 * the next, and the event loop would not look at other connections until it ends.
 */
export class TurnTaker {
  #bytes = 0
  #chunks = 0

  /** To be awaited after each chunk; `undefined` while the turn lasts. */
  after(bytes: number): Promise<void> | undefined {
    this.#bytes += bytes
    this.#chunks += 1
    if (this.#bytes < BYTES_PER_TURN && this.#chunks < CHUNKS_PER_TURN) return undefined
    this.#bytes = 0
    this.#chunks = 0
    return new Promise((resolve) => setImmediate(resolve))
  }
}
