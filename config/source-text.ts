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

  /** The line that holds `offset`, without its end. */
  lineAt(offset: number): string {
    const line = this.#lineIndex(offset)
    const end = this.#lineStarts[line + 1] ?? this.text.length + 1
    return this.text.slice(this.#lineStarts[line], end - 1).replace(/\r$/, '')
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
