import type { Input, Output } from '../terminal.js'

/** Another page of the terminal, without cursor and without wrapping lines; and back to what was there. */
const ENTER = '\u001b[?1049h\u001b[?25l\u001b[?7l'
const LEAVE = '\u001b[?7h\u001b[?25h\u001b[?1049l'

/** Terminals that know them show what lies between these at once; others ignore them. */
const HOLD = '\u001b[?2026h'
const SHOW = '\u001b[?2026l'

/**
 * The whole terminal, as long as it is open. However the process ends, short of being killed at once, the terminal is left
 * as it was.
 */
export class Screen implements Disposable {
  readonly #output: Output
  readonly #input: Input
  #shown: readonly string[] = []
  #isOpen = true

  private constructor(output: Output, input: Input) {
    this.#output = output
    this.#input = input
  }

  static open(output: Output, input: Input): Screen {
    const screen = new Screen(output, input)
    process.once('exit', screen.#leave)
    input.setRawMode?.(true)
    output.stream.write(ENTER)
    return screen
  }

  /** Writes only lines that differ, all at once, so that nothing flickers. */
  draw(lines: readonly string[]): void {
    const changes = lines.flatMap((line, at) => {
      return line === this.#shown[at] ? [] : [`\u001b[${String(at + 1)};1H${line}\u001b[K`]
    })
    const end = lines.length < this.#shown.length ? [`\u001b[${String(lines.length + 1)};1H\u001b[J`] : []
    this.#shown = lines
    if (changes.length + end.length > 0) this.#output.stream.write([HOLD, ...changes, ...end, SHOW].join(''))
  }

  /** Has the next picture drawn in full, as after the terminal has got another size. */
  clear(): void {
    this.#shown = []
    this.#output.stream.write('\u001b[2J')
  }

  /** Idempotent. */
  close(): void {
    process.off('exit', this.#leave)
    this.#leave()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  // Writes to a terminal are done when they return, also while the process ends.
  readonly #leave = (): void => {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#output.stream.write(LEAVE)
    this.#input.setRawMode?.(false)
  }
}
