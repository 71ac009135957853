/** Whether a UTF-16 unit has the Unicode property White_Space. */
function isSpace(unit: number): boolean {
  if (unit < 0x80) return unit === 0x20 || (unit >= 0x09 && unit <= 0x0d)
  return (
    unit === 0x85 ||
    unit === 0xa0 ||
    unit === 0x1680 ||
    (unit >= 0x2000 && unit <= 0x200a) ||
    unit === 0x2028 ||
    unit === 0x2029 ||
    unit === 0x202f ||
    unit === 0x205f ||
    unit === 0x3000
  )
}

const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
const MINUS = 0x2d

/**
 * Used by the generated parser.
 *
 * @public
 * @returns behind the white space and the comments at `at`
 */
export function skipBlank(text: string, at: number): number {
  let next = at
  for (;;) {
    const unit = text.charCodeAt(next)
    if (isSpace(unit)) next++
    else if (unit === MINUS && text.charCodeAt(next + 1) === MINUS) next = skipLine(text, next)
    else return next
  }
}

function skipLine(text: string, at: number): number {
  let next = at
  while (next < text.length) {
    const unit = text.charCodeAt(next)
    if (unit === LINE_FEED || unit === CARRIAGE_RETURN) break
    next++
  }
  return next
}

/**
 * Used by the generated parser.
 *
 * @public
 * @returns behind the ASCII digits at `at`
 */
export function skipDigits(text: string, at: number): number {
  let next = at
  while (isDigit(text.charCodeAt(next))) next++
  return next
}

function isDigit(unit: number): boolean {
  return unit >= 0x30 && unit <= 0x39
}
