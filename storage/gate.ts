/** Lets only so many pieces of work run at the same time; the others wait, first come, first served. */
export class Gate {
  readonly #limit: () => number
  readonly #waiting: (() => void)[] = []
  #running = 0

  /** @param limit asked whenever work comes or ends; at least 1 */
  constructor(limit: () => number) {
    this.#limit = limit
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#limit() && this.#waiting.length === 0) this.#running++
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      this.#running--
      this.#admit()
    }
  }

  #admit(): void {
    const limit = this.#limit()
    while (this.#running < limit) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      this.#running++
      next()
    }
  }
}
