/** Bytes that one request holds. */
export interface Lease {
  /**
   * Asks for more. `undefined` when granted at once, else resolves when granted.
   *
   * A lease asks again only after the last answer.
   */
  grow(bytes: number): Promise<void> | undefined
  /** Gives everything back; idempotent. Somebody who still waits is granted what it asked for, and forgotten. */
  release(): void
}

/**
 * One bound on the bytes of requests in flight, shared by all connections. Who would go beyond waits, in order.
 *
 * Requests take memory as their bytes come in, so all of them together could wait for each other half read. Therefore
 * one request at a time may go beyond the bound: it finishes, and gives its bytes to the next. The true bound is the
 * limit plus the biggest request.
 */
export class MemoryBudget {
  readonly #limit: number
  #used = 0
  #beyond: HeldLease | undefined
  readonly #waiting: Waiting[] = []

  constructor(limit: number) {
    this.#limit = limit
  }

  get used(): number {
    return this.#used
  }

  lease(): Lease {
    return new HeldLease(
      (lease, bytes) => this.#grow(lease, bytes),
      (lease) => {
        this.#release(lease)
      },
    )
  }

  #grow(lease: HeldLease, bytes: number): Promise<void> | undefined {
    if (this.#beyond === lease || (this.#waiting.length === 0 && this.#fits(bytes))) {
      this.#grant(lease, bytes)
      return undefined
    }
    if (this.#beyond === undefined) {
      this.#beyond = lease
      this.#grant(lease, bytes)
      return undefined
    }
    return new Promise((granted) => this.#waiting.push({ lease, bytes, granted }))
  }

  #release(lease: HeldLease): void {
    this.#used -= lease.held
    lease.held = 0
    if (this.#beyond === lease) this.#beyond = undefined
    const index = this.#waiting.findIndex((waiting) => waiting.lease === lease)
    if (index >= 0) this.#waiting.splice(index, 1)[0]?.granted()
    this.#admit()
  }

  #admit(): void {
    for (;;) {
      const next = this.#waiting[0]
      if (next === undefined) return
      if (!this.#fits(next.bytes)) {
        if (this.#beyond !== undefined) return
        this.#beyond = next.lease
      }
      this.#waiting.shift()
      this.#grant(next.lease, next.bytes)
      next.granted()
    }
  }

  #fits(bytes: number): boolean {
    return this.#used + bytes <= this.#limit
  }

  #grant(lease: HeldLease, bytes: number): void {
    lease.held += bytes
    this.#used += bytes
  }
}

interface Waiting {
  readonly lease: HeldLease
  readonly bytes: number
  readonly granted: () => void
}

class HeldLease implements Lease {
  held = 0
  readonly #grow: (lease: HeldLease, bytes: number) => Promise<void> | undefined
  readonly #release: (lease: HeldLease) => void

  constructor(
    grow: (lease: HeldLease, bytes: number) => Promise<void> | undefined,
    release: (lease: HeldLease) => void,
  ) {
    this.#grow = grow
    this.#release = release
  }

  grow(bytes: number): Promise<void> | undefined {
    return this.#grow(this, bytes)
  }

  release(): void {
    this.#release(this)
  }
}
