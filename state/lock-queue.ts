import type { LockGrant, LockMode, LockRequest, LockWaiter } from './lock-types.js'

/** Somebody who waits for a lock. */
export interface Ticket {
  readonly request: LockRequest
  readonly sinceMs: number
  readonly waitMs: number
  /** It is in a commit at this moment. */
  isBeingDecided: boolean
  /** Nobody waits any more: what it gets goes back. */
  isGone: boolean
  /** Its time is over; told when it is not being decided. */
  isLate: boolean
  /** Tells the one who waits. */
  readonly settle: (outcome: Settlement) => void
}

/** How a wait ends. */
export type Settlement =
  { readonly kind: 'granted'; readonly grant: LockGrant } | { readonly kind: 'failed'; readonly error: Error }

/** Those who wait for one lock: first the writers, then the readers, each in the order in which they came. */
export class LockQueue {
  readonly #writers: Ticket[] = []
  readonly #readers: Ticket[] = []

  get size(): number {
    return this.#writers.length + this.#readers.length
  }

  add(ticket: Ticket): void {
    this.#listOf(ticket).push(ticket)
  }

  /** Puts a ticket where another one was. */
  replace(old: Ticket, ticket: Ticket): boolean {
    const list = this.#listOf(old)
    const at = list.indexOf(old)
    if (at < 0 || this.#listOf(ticket) !== list) return false
    list[at] = ticket
    return true
  }

  remove(ticket: Ticket): void {
    const list = this.#listOf(ticket)
    const at = list.indexOf(ticket)
    if (at >= 0) list.splice(at, 1)
  }

  /** Those whose turn it is: the first writer, or all readers when no writer waits. */
  next(): readonly Ticket[] {
    const [writer] = this.#writers
    return writer === undefined ? [...this.#readers] : [writer]
  }

  /** Whether somebody waits who comes first. */
  isBefore(mode: LockMode, ticket: Ticket | undefined): boolean {
    const [writer] = this.#writers
    return writer !== undefined && (mode === 'read' || writer !== ticket)
  }

  report(nowMs: number): readonly LockWaiter[] {
    return [...this.#writers, ...this.#readers].map(({ request: { owner, mode }, sinceMs }) => ({
      owner,
      mode,
      waitingMs: Math.round(nowMs - sinceMs),
    }))
  }

  #listOf({ request: { mode } }: Ticket): Ticket[] {
    return mode === 'write' ? this.#writers : this.#readers
  }
}
