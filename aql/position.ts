/** A place in a text as people count: line and column from 1, columns in code points. */
export interface Position {
  readonly line: number
  readonly column: number
}

/** Characters of a line that are shown left and right of a fault; generated queries can be one line of 256 KiB. */
const SHOWN_AROUND = 100

/** @param offset in UTF-16 units */
export function locate(text: string, offset: number): Position {
  const before = text.slice(0, offset)
  const lines = before.split(/\r\n|\n|\r/)
  return { line: lines.length, column: Array.from(lines.at(-1) ?? '').length + 1 }
}

/** The fault with the line it is in and a caret below its place. */
export function drawPosition(reason: string, text: string, offset: number): string {
  const { line, column } = locate(text, offset)
  const characters = Array.from(text.split(/\r\n|\n|\r/)[line - 1] ?? '')
  const from = Math.max(0, column - 1 - SHOWN_AROUND)
  const shown = characters.slice(from, column - 1 + SHOWN_AROUND).join('')
  const margin = ' '.repeat(String(line).length)
  const caret = ' '.repeat(column - 1 - from)
  return [
    `${margin}--> ${String(line)}:${String(column)}`,
    `${margin} |`,
    `${String(line)} | ${shown}`,
    `${margin} | ${caret}^---`,
    `${margin} |`,
    `${margin} = ${reason}`,
  ].join('\n')
}
