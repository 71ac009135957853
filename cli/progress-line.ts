import { performance } from 'node:perf_hooks'
import type { Output } from './terminal.js'

/** Milliseconds between two looks of it. */
const INTERVAL_MS = 200

/** Progress on a terminal, in one line that is written over; nothing elsewhere. */
export class ProgressLine {
  readonly #output: Output
  #shownAt = -Infinity
  #isShown = false

  constructor(output: Output) {
    this.#output = output
  }

  show(text: string): void {
    const now = performance.now()
    if (!this.#output.isTerminal || now - this.#shownAt < INTERVAL_MS) return
    this.#shownAt = now
    this.#isShown = true
    this.#output.stream.write(`\r\u001b[K${text}`)
  }

  clear(): void {
    if (this.#isShown) this.#output.stream.write('\r\u001b[K')
    this.#isShown = false
  }
}
