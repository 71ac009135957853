/** Bytes that wait for all peers together. */
export class QueueBudget {
  readonly #limit: number
  #used = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  take(bytes: number): boolean {
    if (this.#used + bytes > this.#limit) return false
    this.#used += bytes
    return true
  }

  give(bytes: number): void {
    this.#used -= bytes
  }
}

/** Bytes that may wait for one peer. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024
/** Who waits for room is woken when this little is left, bytes. */
const ROOM_BYTES = 512 * 1024

/** Frames on their way to one peer, taken by its stream as fast as the peer reads. What does not fit is dropped. */
export class OutboundQueue implements AsyncIterable<Uint8Array> {
  readonly #budget: QueueBudget
  #frames: Uint8Array[] = []
  #bytes = 0
  #ended = false
  #wakeReader: (() => void) | undefined
  #waiters: (() => void)[] = []
  /** Bytes taken so far: it grows as long as the peer reads. */
  takenBytes = 0

  constructor(budget: QueueBudget) {
    this.#budget = budget
  }

  get hasRoom(): boolean {
    return this.#ended || this.#bytes <= ROOM_BYTES
  }

  /** @param first ahead of everything that waits; for the few bytes that must not wait */
  push(frame: Uint8Array, first = false): boolean {
    if (this.#ended || this.#bytes + frame.length > MAX_WAITING_BYTES || !this.#budget.take(frame.length)) return false
    this.#bytes += frame.length
    if (first) this.#frames.unshift(frame)
    else this.#frames.push(frame)
    this.#wakeReader?.()
    return true
  }

  /** Resolves when little waits, or nothing will be sent any more. */
  room(): Promise<void> {
    return this.hasRoom ? Promise.resolve() : new Promise((resolve) => this.#waiters.push(resolve))
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#budget.give(this.#bytes)
    this.#bytes = 0
    this.#frames = []
    this.#wakeReader?.()
    this.#wakeWaiters()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      while (!this.#ended) {
        const frame = this.#frames.shift()
        if (frame === undefined) await new Promise<void>((resolve) => (this.#wakeReader = resolve))
        else {
          this.#bytes -= frame.length
          this.#budget.give(frame.length)
          this.takenBytes += frame.length
          if (this.hasRoom) this.#wakeWaiters()
          yield frame
        }
      }
    } finally {
      this.end()
    }
  }

  #wakeWaiters(): void {
    for (const wake of this.#waiters.splice(0)) wake()
  }
}
