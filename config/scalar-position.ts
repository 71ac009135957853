import type { Scalar } from 'yaml'

/**
 * Where in the source the character at `position` of a scalar's value stands, for errors inside a text that may be
 * quoted, folded or a block.
 *
 * The value and the source are walked side by side: escapes stand for one character, and a run of white space with a
 * line break in the source for the run of white space that YAML makes of it.
 *
 * @returns an offset of the source; the start of the scalar where the two cannot be matched
 */
export function offsetInSource(text: string, scalar: Scalar, position: number): number {
  const [start, end] = scalar.range ?? [0, 0]
  const value = String(scalar.value)
  let at = contentStart(text, scalar, start)
  let valueAt = 0
  while (valueAt < position && at < end) {
    const step = stepOver(text, at, value, valueAt, scalar.type)
    if (step === undefined) return start
    if (step.isBlank && valueAt + step.value > position) return at + position - valueAt
    at += step.source
    valueAt += step.value
  }
  return Math.min(at, Math.max(start, end))
}

interface Step {
  /** UTF-16 units taken from each side. */
  readonly source: number
  readonly value: number
  /** A run of white space that stands in both sides alike. */
  readonly isBlank?: true
}

function contentStart(text: string, { type }: Scalar, start: number): number {
  if (type === 'QUOTE_DOUBLE' || type === 'QUOTE_SINGLE') return start + 1
  if (type !== 'BLOCK_LITERAL' && type !== 'BLOCK_FOLDED') return start
  // The header ends with its line, then comes the indentation.
  const headerEnd = text.indexOf('\n', start)
  return headerEnd < 0 ? start : headerEnd + 1 + runLength(text, headerEnd + 1, /[ \n\r]*/y)
}

function stepOver(text: string, at: number, value: string, valueAt: number, type: Scalar['type']): Step | undefined {
  const blank = runLength(text, at, /[ \t\r\n]*/y)
  if (text.slice(at, at + blank).includes('\n')) {
    return { source: blank, value: runLength(value, valueAt, /[ \t\r\n]*/y) }
  }
  // As a whole: looking for the line break again at each blank would take the square of their number.
  if (blank > 0 && value.startsWith(text.slice(at, at + blank), valueAt)) {
    return { source: blank, value: blank, isBlank: true }
  }
  if (type === 'QUOTE_DOUBLE' && text[at] === '\\') return stepOverEscape(text, at)
  if (type === 'QUOTE_SINGLE' && text.startsWith("''", at)) return { source: 2, value: 1 }
  return text[at] === value[valueAt] ? { source: 1, value: 1 } : undefined
}

const ESCAPE_DIGITS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 }

function stepOverEscape(text: string, at: number): Step {
  const letter = text.charAt(at + 1)
  if (letter === '\n') return { source: 2 + runLength(text, at + 2, /[ \t]*/y), value: 0 }
  const digits = ESCAPE_DIGITS[letter] ?? 0
  const code = parseInt(text.slice(at + 2, at + 2 + digits), 16)
  return { source: 2 + digits, value: code > 0xffff ? 2 : 1 }
}

function runLength(text: string, at: number, run: RegExp): number {
  run.lastIndex = at
  return run.exec(text)?.[0].length ?? 0
}
