import type { SourceText } from './source-text.js'

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
  /** The source line, of a long one what is around the place. */
  readonly lineText: string
  /** How many characters of it come before those that are meant, and how many are meant. */
  readonly lead: number
  readonly length: number
}

/** More would help nobody, and one long line of mistakes must not take minutes. */
export const MOST_PROBLEMS = 200

/** Characters of a source line that are shown. */
const SHOWN = 100

/** Makes a problem for the characters from `start` to `end` of a text. */
export function problemAt(source: SourceText, start: number, end: number, reason: string, mend?: string): Problem {
  const offset = Math.max(0, Math.min(start, source.text.length))
  const { line, column } = source.placeOf(offset)
  const [, lineEnd] = source.lineAround(offset)
  const length = Math.max(1, source.charactersBetween(offset, Math.min(end, lineEnd)))
  const [before, after] = source.charactersAround(offset, SHOWN)
  const lineText = [...before, ...after].join('')
  const place = { source: source.name, line, column }
  return { ...place, reason, ...(mend === undefined ? {} : { mend }), lineText, lead: before.length, length }
}

/** `file:line:column: reason`, the source line, a caret below, and the mend. */
export function renderProblem(problem: Problem): string {
  const { source, line, column, reason, mend, lead } = problem
  const margin = String(line).length
  const characters = Array.from(problem.lineText)
  const from = Math.max(0, Math.min(lead - SHOWN / 2, characters.length - SHOWN))
  const shown = characters.slice(from, from + SHOWN).map(printable)
  // Tabs stay tabs below, so that the caret stands where the terminal puts the character.
  const indent = shown.slice(0, lead - from).map((character) => (character === '\t' ? '\t' : ' '))
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
