/** A place in a line. */
export interface Turn {
  /** Resolves when all turns taken before have ended. */
  readonly before: Promise<void>
  /** Lets the next one go. Idempotent. */
  readonly end: () => void
}

/** Keeps work in the order in which it came, for each name on its own. */
export class Turns {
  readonly #last = new Map<string, Promise<void>>()

  take(name: string): Turn {
    const before = this.#last.get(name) ?? Promise.resolve()
    let end: () => void = () => undefined
    const own = new Promise<void>((resolve) => (end = resolve))
    const last = before.then(() => own)
    this.#last.set(name, last)
    void last.then(() => {
      if (this.#last.get(name) === last) this.#last.delete(name)
    })
    return { before, end }
  }
}
