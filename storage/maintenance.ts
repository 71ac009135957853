/** Runs background work one piece at a time: when woken, and when a timer says so. Nothing runs while nothing is due. */
export class Maintenance {
  readonly #work: () => Promise<void>
  readonly #onError: (error: unknown) => void
  #timer: NodeJS.Timeout | undefined
  #dueMs = Infinity
  #running: Promise<void> | undefined
  #again = false
  #stopped = false

  /** @param work must return when there is nothing left to do at the moment */
  constructor(work: () => Promise<void>, onError: (error: unknown) => void) {
    this.#work = work
    this.#onError = onError
  }

  /** Has the work done soon; while it is being done, once more. */
  wake(): void {
    if (this.#stopped) return
    this.#again = true
    this.#running ??= this.#run()
  }

  /** Wakes it after a delay, unless something earlier is due; milliseconds. */
  wakeIn(delayMs: number): void {
    const due = performance.now() + delayMs
    if (this.#stopped || due >= this.#dueMs) return
    clearTimeout(this.#timer)
    this.#dueMs = due
    this.#timer = setTimeout(
      () => {
        this.#dueMs = Infinity
        this.wake()
      },
      Math.min(delayMs, MAX_TIMER_MS),
    )
    this.#timer.unref()
  }

  /** When it is done next by the timer, if it is not woken before; milliseconds from now, `Infinity` for never. */
  get dueInMs(): number {
    return Math.max(0, this.#dueMs - performance.now())
  }

  /** Resolves when the work that was asked for so far is done. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  /** Lets the piece under way end and starts no other. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    await this.settled()
  }

  async #run(): Promise<void> {
    // A turn later, so that whoever wakes it goes on first.
    await Promise.resolve()
    try {
      while (this.#again && !this.#stopped) {
        this.#again = false
        await this.#work().catch(this.#onError)
      }
    } finally {
      this.#running = undefined
    }
  }
}

/** Node's timers overflow beyond 2^31 - 1 ms. */
const MAX_TIMER_MS = 2 ** 31 - 1
