import { charactersOf, type SourceText } from './source-text.js'

/** Something wrong, or doubtful, at one place of the configuration. */
export interface Problem {
  /** The file, or the name of the environment variable or flag. */
  readonly source: string
  /** Counted from 1. */
  readonly line: number
  /** Counted from 1, in characters. */
  readonly column: number
  readonly reason: string
  /** How to mend it. */
  readonly mend?: string
  /** The source line and how many of its characters are meant. */
  readonly lineText: string
  readonly length: number
}

/** Characters of a source line that are shown. */
const SHOWN = 100

/** Makes a problem for the characters from `start` to `end` of a text. */
export function problemAt(source: SourceText, start: number, end: number, reason: string, mend?: string): Problem {
  const offset = Math.max(0, Math.min(start, source.text.length))
  const lineText = source.lineAt(offset)
  const { line, column } = source.placeOf(offset)
  const rest = charactersOf(lineText).length - column + 1
  const length = Math.max(1, Math.min(charactersOf(source.text.slice(offset, end)).length, rest))
  return { source: source.name, line, column, reason, ...(mend === undefined ? {} : { mend }), lineText, length }
}

/** `file:line:column: reason`, the source line, a caret below, and the mend. */
export function renderProblem(problem: Problem): string {
  const { source, line, column, reason, mend } = problem
  const margin = String(line).length
  const characters = charactersOf(problem.lineText)
  const from = Math.max(0, Math.min(column - 1 - SHOWN / 2, characters.length - SHOWN))
  const shown = characters.slice(from, from + SHOWN).map(printable)
  // Tabs stay tabs below, so that the caret stands where the terminal puts the character.
  const indent = shown.slice(0, column - 1 - from).map((character) => (character === '\t' ? '\t' : ' '))
  const carets = '^'.repeat(Math.max(1, Math.min(problem.length, shown.length - indent.length)))
  const lines = [
    `${source}:${String(line)}:${String(column)}: ${reason}`,
    `  ${String(line)} | ${shown.join('')}`,
    `  ${' '.repeat(margin)} | ${indent.join('')}${carets}`,
  ]
  if (mend !== undefined) lines.push(`  ${' '.repeat(margin)} = ${mend}`)
  return lines.join('\n')
}

/** Keeps control characters of a file from the operator's terminal. */
function printable(character: string): string {
  return character !== '\t' && /\p{Cc}|\p{Cf}/u.test(character) ? '\u00b7' : character
}

/** A value as it may stand in a message. */
export function clip(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}
