import { setImmediate } from 'node:timers/promises'
import { AbortedError } from '../core/index.js'

/** Milliseconds after which a query lets others have their turn. */
const TURN_MS = 8

/** Shares the event loop: queries compute in short turns, and look at their signal between them. */
export class Pacer {
  readonly #signal: AbortSignal
  #turnStart = performance.now()

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  /** Whether the turn is over. Costs a look at the clock: ask after some work, not after each step. */
  isOver(): boolean {
    return this.#signal.aborted || performance.now() - this.#turnStart > TURN_MS
  }

  /** Ends the turn. @throws AbortedError */
  async pause(): Promise<void> {
    this.check()
    await setImmediate()
    this.check()
    this.#turnStart = performance.now()
  }

  /** @throws AbortedError */
  check(): void {
    if (this.#signal.aborted) throw new AbortedError('the query was aborted')
  }
}
