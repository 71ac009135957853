import { parseAnswerLine, type EventLine } from '../../client/index.js'

/** Rows that can be looked at; all of them are saved. */
export const MOST_SHOWN = 10_000

/** Characters of rows that can be looked at. */
const MOST_SHOWN_CHARACTERS = 50_000_000

/** Characters that are joined to a piece; the browser may put pieces on disk. */
const PIECE_CHARACTERS = 1_000_000

/** Characters of one answer; then it is ended. */
export const MOST_CHARACTERS = 500_000_000

/** Diagnostics that are shown; the others are counted. */
const MOST_DIAGNOSTICS = 20

/** What a query has delivered so far. */
export class Result {
  readonly rows: EventLine[] = []
  readonly diagnostics: string[] = []
  /** All rows, shown or not. */
  count = 0
  warnings = 0
  /** Why the answer ended before its time. */
  failure: string | undefined
  #shownCharacters = 0
  #characters = 0
  #piece: string[] = []
  #pieceCharacters = 0
  readonly #pieces: Blob[] = []

  /** Takes a line as the daemon wrote it. @returns whether there is room for more */
  push(text: string): boolean {
    const line = parseAnswerLine(text)
    if (line.type === 'event') {
      this.count += 1
      if (this.rows.length < MOST_SHOWN && this.#shownCharacters < MOST_SHOWN_CHARACTERS) {
        this.rows.push(line)
        this.#shownCharacters += text.length
      }
      this.#keep(text)
    } else if (line.type === 'diagnostic') {
      if (line.severity === 'error') this.failure = line.message
      else this.#warn(line.message)
    }
    return this.#characters < MOST_CHARACTERS
  }

  /** All rows as the daemon wrote them. */
  ndjson(): Blob {
    this.#close()
    return new Blob(this.#pieces, { type: 'application/x-ndjson' })
  }

  #warn(message: string): void {
    this.warnings += 1
    if (this.diagnostics.length < MOST_DIAGNOSTICS) this.diagnostics.push(message)
  }

  #keep(text: string): void {
    this.#characters += text.length
    this.#piece.push(text, '\n')
    this.#pieceCharacters += text.length
    if (this.#pieceCharacters > PIECE_CHARACTERS) this.#close()
  }

  #close(): void {
    if (this.#piece.length === 0) return
    this.#pieces.push(new Blob(this.#piece))
    this.#piece = []
    this.#pieceCharacters = 0
  }
}
