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
  /** Offsets of the second halves of characters that take two units. */
  readonly #secondHalves: number[] = []
  /** Characters of lines that were shown, by number of the line. */
  readonly #shown = new Map<number, readonly string[]>()

  constructor(name: string, text: string) {
    this.name = name
    this.text = text
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) this.#lineStarts.push(at + 1)
    for (const { index } of text.matchAll(/[\u{10000}-\u{10ffff}]/gu)) this.#secondHalves.push(index + 1)
  }

  /** Takes no time worth counting, however long the line: a text may have thousands of mistakes. */
  placeOf(offset: number): Place {
    const line = countBelow(this.#lineStarts, offset + 1)
    const start = this.#lineStarts[line - 1] ?? 0
    return { line, column: this.charactersBetween(start, offset) + 1 }
  }

  /** Lets {@link charactersAround} show asterisks from `start` to `end`. */
  hide(start: number, end: number): void {
    this.#hidden.push([start, end])
    this.#shown.clear()
  }

  /** Up to `most` characters before `offset`, and up to `most` from there to the end of the line; no secrets. */
  charactersAround(offset: number, most: number): readonly [before: readonly string[], after: readonly string[]] {
    const { line, column } = this.placeOf(offset)
    const characters = this.#shown.get(line) ?? this.#show(offset)
    this.#shown.set(line, characters)
    const at = column - 1
    return [characters.slice(Math.max(0, at - most), at), characters.slice(at, at + most)]
  }

  /** The line that holds `offset`, with its secrets made unreadable, which leaves the number of characters. */
  #show(offset: number): string[] {
    const [lineStart, lineEnd] = this.lineAround(offset)
    let line = this.text.slice(lineStart, lineEnd)
    for (const [start, end] of this.#hidden) {
      const from = Math.max(0, start - lineStart)
      const to = Math.min(line.length, end - lineStart)
      if (from < to) line = line.slice(0, from) + hide(line.slice(from, to)) + line.slice(to)
    }
    return Array.from(hideSecrets(line))
  }

  /** Where the line that holds `offset` begins, and where it ends without the line break. */
  lineAround(offset: number): readonly [start: number, end: number] {
    const line = countBelow(this.#lineStarts, offset + 1)
    const next = this.#lineStarts[line]
    const end = next === undefined ? this.text.length : next - 1
    return [this.#lineStarts[line - 1] ?? 0, this.text[end - 1] === '\r' ? end - 1 : end]
  }

  /** Code points between two offsets, which is what columns count. */
  charactersBetween(start: number, end: number): number {
    // A half whose other half lies outside counts by itself.
    const whole = countBelow(this.#secondHalves, end) - countBelow(this.#secondHalves, start + 1)
    return Math.max(0, end - start - Math.max(0, whole))
  }
}

/** How many of the numbers, which ascend, are below `limit`. */
function countBelow(ascending: readonly number[], limit: number): number {
  let low = 0
  let high = ascending.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ascending[middle] ?? 0) < limit) low = middle + 1
    else high = middle
  }
  return low
}
