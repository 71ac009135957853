import { Histogram, type HistogramSnapshot } from '../storage/index.js'

/** Time between two looks, milliseconds: rare enough to cost nothing. */
const INTERVAL_MS = 250

/** Upper bounds, seconds: 1 ms to 5 s. */
const BOUNDS: readonly number[] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

/** How late a timer fires: so long everything else of the process waits too. Made by {@link EventLoopDelay.start}. */
export class EventLoopDelay {
  readonly #seconds = new Histogram(BOUNDS)
  #timer: NodeJS.Timeout | undefined

  static start(): EventLoopDelay {
    const delay = new EventLoopDelay()
    delay.#next()
    return delay
  }

  get seconds(): HistogramSnapshot {
    return this.#seconds.snapshot()
  }

  /** Idempotent. */
  stop(): void {
    clearTimeout(this.#timer)
  }

  #next(): void {
    const dueMs = performance.now() + INTERVAL_MS
    this.#timer = setTimeout(() => {
      // Timers may fire a fraction of a millisecond early.
      this.#seconds.observe(Math.max(0, performance.now() - dueMs) / 1000)
      this.#next()
    }, INTERVAL_MS)
    this.#timer.unref()
  }
}
