import type { EventLine } from '../../client/index.js'
import { rowOf, type Row } from './row.js'

/** Rows kept at most. */
export const MOST_ROWS = 500

/** Rows added to the list at one time. Nobody can read more, and drawing them would hold up the page. */
const MOST_AT_ONCE = 40

/** What the list shows; newest first. */
export interface TailView {
  readonly rows: readonly Row[]
  /** When the list was stopped; milliseconds since 1970. `undefined` while it moves. */
  readonly pausedMs: number | undefined
  /** Events that came since then. */
  readonly waiting: number
  /** Events that came too fast to be shown, since the list began to move. */
  readonly skipped: number
}

/** Gathers events between two drawings, at 1,000 a second as at one a minute. */
export class TailRows {
  #view: TailView = { rows: [], pausedMs: undefined, waiting: 0, skipped: 0 }
  /** Newest last. */
  #arrived: EventLine[] = []
  #dropped = 0

  get view(): TailView {
    return this.#view
  }

  /** What was there before the tail began. @param stored newest first */
  begin(stored: readonly EventLine[]): void {
    this.#view = { ...this.#view, rows: stored.slice(0, MOST_ROWS).map(rowOf) }
  }

  push(event: EventLine): void {
    this.#arrived.push(event)
    // While nothing is drawn, no more is kept than could be shown.
    if (this.#arrived.length > 2 * MOST_ROWS) this.#dropped += this.#arrived.splice(0, MOST_ROWS).length
  }

  /** @returns whether the view is another one */
  flush(): boolean {
    if (this.#view.pausedMs !== undefined) return this.#count()
    if (this.#arrived.length === 0) return false
    const shown = this.#arrived.slice(-MOST_AT_ONCE)
    const skipped = this.#dropped + this.#arrived.length - shown.length
    this.#take(shown, skipped)
    return true
  }

  pause(nowMs: number): void {
    this.#view = { ...this.#view, pausedMs: nowMs }
  }

  /** Shows what came meanwhile. */
  resume(): void {
    const shown = this.#arrived.slice(-MOST_ROWS)
    const skipped = this.#dropped + this.#arrived.length - shown.length
    this.#view = { ...this.#view, pausedMs: undefined, waiting: 0, skipped: 0 }
    this.#take(shown, skipped)
  }

  #take(arrived: readonly EventLine[], skipped: number): void {
    const rows = [...arrived.map(rowOf).reverse(), ...this.#view.rows].slice(0, MOST_ROWS)
    this.#view = { ...this.#view, rows, skipped: this.#view.skipped + skipped }
    this.#arrived = []
    this.#dropped = 0
  }

  #count(): boolean {
    const waiting = this.#dropped + this.#arrived.length
    if (waiting === this.#view.waiting) return false
    this.#view = { ...this.#view, waiting }
    return true
  }
}
