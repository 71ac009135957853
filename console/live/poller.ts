import type { Client } from '../../client/index.js'
import { Cell } from './cell.js'
import { isRefusal, type Link } from './link.js'
import { pause } from './pause.js'
import { untilVisible } from './visibility.js'

/** What was answered last, and what went wrong since. */
export interface Polled<T> {
  readonly value: T | undefined
  /** When the value came; milliseconds since 1970. */
  readonly atMs: number | undefined
  /** Why there is no newer one. That the daemon is silent is not for single figures to say. */
  readonly error: Error | undefined
}

/** Something to ask for. */
export type Load<T> = (client: Client, signal: AbortSignal) => Promise<T>

/** After failures in a row it waits so long; milliseconds. The last one is for all further ones. */
const RETRY_MS: readonly number[] = [1000, 2000, 4000]

/** Asks for one thing again and again while the tab can be seen. */
export class Poller<T> {
  readonly polled: Cell<Polled<T>>
  /** When it asks next after a failure; milliseconds since 1970. */
  readonly nextTryMs = new Cell<number | undefined>(undefined)
  readonly #link: Link
  readonly #load: Load<T>
  readonly #everyMs: number
  readonly #ending = new AbortController()
  readonly #unwatch: () => void
  #failures = 0
  #wake = new AbortController()

  constructor(link: Link, load: Load<T>, everyMs: number, known?: Polled<T>) {
    this.#link = link
    this.#load = load
    this.#everyMs = everyMs
    this.polled = new Cell<Polled<T>>(known ?? { value: undefined, atMs: undefined, error: undefined })
    this.#unwatch = link.revivals.watch(this.askNow)
  }

  /** Asks until {@link end}. */
  async run(): Promise<void> {
    const { signal } = this.#ending
    while (!signal.aborted) {
      await untilVisible(signal)
      this.#wake = new AbortController()
      const waitMs = await this.#ask(signal)
      await pause(waitMs, AbortSignal.any([signal, this.#wake.signal]))
    }
  }

  readonly askNow = (): void => {
    this.#wake.abort()
  }

  end(): void {
    this.#unwatch()
    this.#ending.abort()
  }

  /** @returns milliseconds until the next time */
  async #ask(signal: AbortSignal): Promise<number> {
    this.nextTryMs.value = undefined
    try {
      const value = await this.#link.ask(this.#load, signal)
      if (!isOver(signal)) this.polled.value = { value, atMs: Date.now(), error: undefined }
      this.#failures = 0
      return this.#everyMs
    } catch (error) {
      if (isOver(signal)) return 0
      if (isRefusal(error)) this.polled.value = { ...this.polled.value, error }
      const waitMs = RETRY_MS[Math.min(this.#failures, RETRY_MS.length - 1)] ?? this.#everyMs
      this.#failures += 1
      this.nextTryMs.value = Date.now() + waitMs
      return waitMs
    }
  }
}

/** A call, so that the compiler does not take what it saw before a wait for granted. */
function isOver(signal: AbortSignal): boolean {
  return signal.aborted
}
