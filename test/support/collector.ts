/** Takes what callbacks deliver, and lets a test wait until enough has come: no sleeps. */
export class Collector<T> {
  readonly items: T[] = []
  #waiting: { enough: (items: readonly T[]) => boolean; resolve: () => void; reject: (error: unknown) => void }[] = []
  #failure: { error: unknown } | undefined

  /** The callback to hand out. */
  readonly push = (item: T): void => {
    this.items.push(item)
    this.#waiting = this.#waiting.filter(({ enough, resolve }) => {
      if (!enough(this.items)) return true
      resolve()
      return false
    })
  }

  /** For error callbacks: ends all waits, now and later. */
  readonly fail = (error: unknown): void => {
    this.#failure = { error }
    for (const { reject } of this.#waiting.splice(0)) reject(error)
  }

  /** Resolves with everything so far as soon as `enough` says so. tap's timeout ends a wait in vain. */
  async until(enough: (items: readonly T[]) => boolean): Promise<readonly T[]> {
    if (!enough(this.items)) {
      if (this.#failure !== undefined) throw this.#failure.error
      await new Promise<void>((resolve, reject) => {
        this.#waiting.push({ enough, resolve, reject })
      })
    }
    return this.items
  }

  count(wanted: number): Promise<readonly T[]> {
    return this.until((items) => items.length >= wanted)
  }
}
