import type { DraftNote } from '../../client/index.js'

/** Where a note points to in the text; UTF-16 units. */
export function placeOf(text: string, { line, column, length }: DraftNote): { from: number; to: number } {
  const lines = text.split('\n')
  const before = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0)
  const row = lines[line - 1] ?? ''
  // Columns count characters.
  const units = (characters: number): number => Array.from(row).slice(0, characters).join('').length
  const from = before + units(column - 1)
  return { from, to: Math.max(from, before + units(column - 1 + Math.max(1, length))) }
}
