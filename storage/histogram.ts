import type { HistogramSnapshot } from './event-store.js'

/** Upper bounds for durations of commits and syncs, seconds: 100 µs to 10 s. */
export const COMMIT_BOUNDS: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]

/** Upper bounds for durations of background work, seconds: 1 ms to 10 min. */
export const WORK_BOUNDS: readonly number[] = [0.001, 0.01, 0.1, 0.5, 1, 5, 10, 60, 600]

/** Counts observations by size, in the form that Prometheus wants. */
export class Histogram {
  readonly #bounds: readonly number[]
  readonly #counts: number[]
  #sum = 0
  #count = 0

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = bounds.map(() => 0)
  }

  observe(value: number): void {
    this.#sum += value
    this.#count++
    const at = this.#bounds.findIndex((bound) => value <= bound)
    if (at >= 0) this.#counts[at] = (this.#counts[at] ?? 0) + 1
  }

  snapshot(): HistogramSnapshot {
    let below = 0
    return {
      bounds: this.#bounds,
      counts: this.#counts.map((count) => (below += count)),
      sum: this.#sum,
      count: this.#count,
    }
  }
}
