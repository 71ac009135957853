import type { Clock } from '../../core/index.js'

interface Timer {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
  cancelled: boolean
}

/**
 * Time that passes only when somebody advances it. Whatever is due runs in order, and between two timers everything
 * that promises have to do is done, so one seed gives one course of events. Work that waits for something real (a disk)
 * has to be announced with {@link hold}, else time would run on without it.
 */
export class VirtualTime implements Clock {
  readonly #startMicros: number
  #nowMs = 0
  #order = 0
  /** A binary heap: earliest first, equal times in the order in which they were set. */
  readonly #timers: Timer[] = []
  #held = 0
  #released: (() => void) | undefined

  /** @param startMicros what the wall clock says at the beginning, microseconds since 1970 */
  constructor(startMicros = 1_700_000_000_000_000) {
    this.#startMicros = startMicros
  }

  nowMicros(): number {
    return this.#startMicros + Math.floor(this.#nowMs * 1000)
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  /** @returns what cancels it */
  after(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, run, cancelled: false }
    this.#push(timer)
    return () => {
      timer.cancelled = true
    }
  }

  /** Time stands still until real work is done. */
  async hold<T>(work: Promise<T>): Promise<T> {
    this.#held++
    try {
      return await work
    } finally {
      this.#held--
      if (this.#held === 0) this.#released?.()
    }
  }

  /** Lets time pass. */
  async advance(byMs: number): Promise<void> {
    const endMs = this.#nowMs + byMs
    await this.#settle()
    for (let timer = this.#pop(endMs); timer !== undefined; timer = this.#pop(endMs)) {
      this.#nowMs = timer.atMs
      timer.run()
      await this.#settle()
    }
    this.#nowMs = endMs
  }

  /** Lets time pass until something holds. @returns whether it came to hold within `limitMs` */
  async advanceUntil(holds: () => boolean, limitMs: number): Promise<boolean> {
    const endMs = this.#nowMs + limitMs
    await this.#settle()
    while (!holds()) {
      const timer = this.#pop(endMs)
      if (timer === undefined) {
        this.#nowMs = endMs
        return holds()
      }
      this.#nowMs = timer.atMs
      timer.run()
      await this.#settle()
    }
    return true
  }

  /** Until neither promises nor held work can do anything more by themselves. */
  async #settle(): Promise<void> {
    for (let quiet = 0; quiet < 2; quiet++) {
      const before = this.#order
      await new Promise((resolve) => setImmediate(resolve))
      if (this.#held > 0) {
        await new Promise<void>((resolve) => (this.#released = resolve))
        quiet = -1
      } else if (this.#order !== before) quiet = -1
    }
  }

  #push(timer: Timer): void {
    const heap = this.#timers
    let at = heap.length
    heap.push(timer)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(timer, heap[parent])) break
      swap(heap, at, parent)
      at = parent
    }
  }

  /** Takes the next timer that is due by then. */
  #pop(endMs: number): Timer | undefined {
    for (;;) {
      const first = this.#timers[0]
      if (first === undefined || first.atMs > endMs) return undefined
      const last = this.#timers.pop()
      if (last !== undefined && this.#timers.length > 0) {
        this.#timers[0] = last
        this.#sink()
      }
      if (!first.cancelled) return first
    }
  }

  #sink(): void {
    const heap = this.#timers
    for (let at = 0; ;) {
      const left = 2 * at + 1
      const child = isBefore(heap[left + 1], heap[left]) ? left + 1 : left
      if (!isBefore(heap[child], heap[at])) return
      swap(heap, at, child)
      at = child
    }
  }
}

function isBefore(one: Timer | undefined, other: Timer | undefined): boolean {
  if (one === undefined) return false
  if (other === undefined) return true
  return one.atMs === other.atMs ? one.order < other.order : one.atMs < other.atMs
}

function swap(heap: Timer[], one: number, other: number): void {
  const timer = heap[one]
  const second = heap[other]
  if (timer === undefined || second === undefined) return
  heap[one] = second
  heap[other] = timer
}
