/** Ends a connection that says nothing for too long while something is expected of it. */
export class SilenceWatch {
  readonly #mostMs: number
  readonly #onSilence: () => void
  #timer: ReturnType<typeof setTimeout> | undefined
  #hasFired = false

  constructor(mostMs: number, onSilence: () => void) {
    this.#mostMs = mostMs
    this.#onSilence = onSilence
  }

  get hasFired(): boolean {
    return this.#hasFired
  }

  /** From now on something is expected. */
  expect(): void {
    this.rest()
    this.#timer = setTimeout(() => {
      this.#hasFired = true
      this.#onSilence()
    }, this.#mostMs)
  }

  /** Nothing is expected any more. */
  rest(): void {
    clearTimeout(this.#timer)
  }

  /** Passes chunks on. While the reader is busy with one, nothing is expected. */
  async *over(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    this.expect()
    for await (const chunk of chunks) {
      this.rest()
      yield chunk
      this.expect()
    }
  }
}
