import { hide, hideSecrets } from './secrets.js'

/** A place in a text, both counted from 1; columns in characters (code points). */
export interface Place {
  readonly line: number
  readonly column: number
}

/** A text with the name that errors show: the file, the environment variable or the flag it came from. */
export class SourceText {
  readonly name: string
  readonly text: string
  readonly #lineStarts: number[] = [0]
  /** Parts that must not be shown. */
  readonly #hidden: (readonly [start: number, end: number])[] = []

  constructor(name: string, text: string) {
    this.name = name
    this.text = text
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) this.#lineStarts.push(at + 1)
  }

  placeOf(offset: number): Place {
    const line = this.#lineIndex(offset)
    const start = this.#lineStarts[line] ?? 0
    return { line: line + 1, column: charactersOf(this.text.slice(start, offset)).length + 1 }
  }

  /** Lets {@link lineAt} show asterisks from `start` to `end`. */
  hide(start: number, end: number): void {
    this.#hidden.push([start, end])
  }

  /** The line that holds `offset`, without its end and without secrets. */
  lineAt(offset: number): string {
    const index = this.#lineIndex(offset)
    const lineStart = this.#lineStarts[index] ?? 0
    const lineEnd = (this.#lineStarts[index + 1] ?? this.text.length + 1) - 1
    let line = this.text.slice(lineStart, lineEnd).replace(/\r$/, '')
    for (const [start, end] of this.#hidden) {
      const from = Math.max(0, start - lineStart)
      const to = Math.min(line.length, end - lineStart)
      if (from < to) line = line.slice(0, from) + hide(line.slice(from, to)) + line.slice(to)
    }
    return hideSecrets(line)
  }

  #lineIndex(offset: number): number {
    let low = 0
    let high = this.#lineStarts.length - 1
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if ((this.#lineStarts[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    return low
  }
}

/** The code points of a text, which is what columns count. */
export function charactersOf(text: string): string[] {
  return Array.from(text)
}
