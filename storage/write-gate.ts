/** Lets writes pass, and holds them up for a moment when somebody needs the files to stand still. */
export class WriteGate {
  #running = 0
  #held: Promise<void> | undefined
  #onIdle: (() => void) | undefined

  /** Whether a write has to wait for {@link passed}. */
  get isHeld(): boolean {
    return this.#held !== undefined
  }

  /** Resolves when nothing holds up writes. */
  async passed(): Promise<void> {
    while (this.#held !== undefined) await this.#held
  }

  /** A write begins; only while {@link isHeld} is false. */
  enter(): void {
    this.#running++
  }

  leave(): void {
    if (--this.#running === 0) this.#onIdle?.()
  }

  /** Waits for the writes under way and does something before any other begins. */
  async hold<T>(work: () => Promise<T>): Promise<T> {
    await this.passed()
    let release = (): void => undefined
    this.#held = new Promise((resolve) => (release = resolve))
    try {
      if (this.#running > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve))
      return await work()
    } finally {
      this.#onIdle = undefined
      this.#held = undefined
      release()
    }
  }
}
