import { MillraceError } from './errors.js'

/** A JSON text is malformed; `position` is a byte offset into the scanned buffer. */
export class JsonError extends MillraceError {
  readonly code = 'ERR_JSON_INVALID'
  readonly position: number
  readonly reason: string
  /** Whether the text is JSON by its grammar and holds a value that the API does not take. */
  readonly isValue: boolean

  constructor(reason: string, bytes: Uint8Array, position: number, isValue = false) {
    const { line, column } = locate(bytes, position)
    super(`${reason} at line ${String(line)} column ${String(column)}`)
    this.reason = reason
    this.position = position
    this.isValue = isValue
  }
}

/** Line (from 1) and column (from 1, in bytes) of a byte position. */
function locate(bytes: Uint8Array, position: number): { line: number; column: number } {
  let line = 1
  let lineStart = 0
  for (let at = 0; at < position && at < bytes.length; at++) {
    if (bytes[at] === LINE_FEED) {
      line += 1
      lineStart = at + 1
    }
  }
  return { line, column: position - lineStart + 1 }
}

/** Nesting that a whole request may have. */
export const MAX_JSON_DEPTH = 127

const LINE_FEED = 0x0a
const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const MINUS = 0x2d
const PLUS = 0x2b
const POINT = 0x2e
const ZERO = 0x30
const NINE = 0x39

/** Digits from which on a number is checked for being beyond the doubles. */
const LONG_NUMBER = 300

/**
 * Walks over JSON text in a buffer without building values, and checks it as strictly as the API promises: grammar of
 * RFC 8259, no lone surrogates in escapes, no number beyond the doubles, bounded nesting. The caller checks once that
 * the buffer is valid UTF-8.
 */
export class JsonScanner {
  readonly bytes: Uint8Array
  readonly end: number
  /** Next byte to look at. */
  at: number
  #sawSpace = false

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.bytes = bytes
    this.at = start
    this.end = end
  }

  fail(reason: string, at = this.at): never {
    if (at >= this.end) throw new JsonError('EOF while parsing a value', this.bytes, this.end)
    throw new JsonError(reason, this.bytes, at)
  }

  #refuse(reason: string, at: number): never {
    throw new JsonError(reason, this.bytes, at, true)
  }

  /** Passes over white space; returns the byte that follows, or -1 at the end. */
  peek(): number {
    const { bytes, end } = this
    let at = this.at
    while (at < end) {
      const byte = bytes[at] as number
      if (byte !== 0x20 && byte !== LINE_FEED && byte !== 0x0d && byte !== 0x09) break
      at++
    }
    if (at !== this.at) {
      this.#sawSpace = true
      this.at = at
    }
    return at < end ? (bytes[at] as number) : -1
  }

  /** Passes over `byte`, or fails naming what was expected. */
  expect(byte: number, what: string): void {
    if (this.peek() !== byte) this.fail(`expected ${what}`)
    this.at++
  }

  /** Nothing but white space may follow. */
  expectEnd(): void {
    if (this.peek() !== -1) this.fail('trailing characters')
  }

  /**
   * The members of the object that begins here, one by one; the callback must pass over the value.
   *
   * @param expected what the error says when no object begins here
   */
  members(expected: string, member: (name: string) => void): void {
    if (this.peek() !== OPEN_OBJECT) this.fail(`invalid type: expected ${expected}`)
    this.at++
    if (this.peek() === CLOSE_OBJECT) {
      this.at++
      return
    }
    for (;;) {
      if (this.peek() !== QUOTE) this.fail('key must be a string')
      const name = this.string()
      this.expect(COLON, '`:`')
      this.peek()
      member(name)
      const next = this.peek()
      this.at++
      if (next === CLOSE_OBJECT) return
      if (next !== COMMA) this.fail('expected `,` or `}`', this.at - 1)
    }
  }

  /** The elements of the array that begins here; the callback must pass over each. */
  elements(expected: string, element: () => void): void {
    if (this.peek() !== OPEN_ARRAY) this.fail(`invalid type: expected ${expected}`)
    this.at++
    if (this.peek() === CLOSE_ARRAY) {
      this.at++
      return
    }
    for (;;) {
      this.peek()
      element()
      const next = this.peek()
      this.at++
      if (next === CLOSE_ARRAY) return
      if (next !== COMMA) this.fail('expected `,` or `]`', this.at - 1)
    }
  }

  /** The decoded string that begins here. */
  string(): string {
    const start = this.at
    if (this.bytes[start] !== QUOTE) this.fail('invalid type: expected a string')
    this.skipString()
    const name = rememberedName(this.bytes, start + 1, this.at - 1)
    if (name !== undefined) return name
    const text = utf8.decode(this.bytes.subarray(start + 1, this.at - 1))
    return text.includes('\\') ? (JSON.parse(`"${text}"`) as string) : text
  }

  /** Passes over any value. `maxDepth` is how deep arrays and objects in it may nest. */
  skipValue(maxDepth = MAX_JSON_DEPTH): void {
    const first = this.peek()
    if (first === OPEN_OBJECT || first === OPEN_ARRAY) this.#skipContainer(maxDepth)
    else this.#skipScalar(first)
  }

  /** As {@link skipValue}; says whether there was white space outside strings. */
  skipValueNotingSpace(maxDepth = MAX_JSON_DEPTH): boolean {
    this.#sawSpace = false
    this.skipValue(maxDepth)
    return this.#sawSpace
  }

  #skipContainer(maxDepth: number): void {
    // One bit a level: whether it is an object. Depth stays below 128, so four 32-bit words would do; an array is simpler.
    const objects: boolean[] = []
    for (;;) {
      // Here a value begins.
      const first = this.peek()
      if (first === OPEN_OBJECT || first === OPEN_ARRAY) {
        if (objects.length >= maxDepth) this.#refuse('recursion limit exceeded', this.at)
        this.at++
        objects.push(first === OPEN_OBJECT)
        const next = this.peek()
        if (next === (first === OPEN_OBJECT ? CLOSE_OBJECT : CLOSE_ARRAY)) {
          this.at++
          objects.pop()
        } else {
          if (first === OPEN_OBJECT) this.#skipKey(next)
          continue
        }
      } else this.#skipScalar(first)
      // Here a value has ended.
      for (;;) {
        const inObject = objects[objects.length - 1]
        if (inObject === undefined) return
        const next = this.peek()
        this.at++
        if (next === COMMA) {
          if (inObject) this.#skipKey(this.peek())
          break
        }
        if (next !== (inObject ? CLOSE_OBJECT : CLOSE_ARRAY)) {
          this.fail(inObject ? 'expected `,` or `}`' : 'expected `,` or `]`', this.at - 1)
        }
        objects.pop()
      }
    }
  }

  #skipKey(first: number): void {
    if (first !== QUOTE) this.fail('key must be a string')
    this.skipString()
    this.expect(COLON, '`:`')
  }

  #skipScalar(first: number): void {
    if (first === QUOTE) this.skipString()
    else if (first === MINUS || (first >= ZERO && first <= NINE)) this.#skipNumber()
    else if (first === 0x74) this.#skipWord('true')
    else if (first === 0x66) this.#skipWord('false')
    else if (first === 0x6e) this.#skipWord('null')
    else this.fail('expected value')
  }

  #skipWord(word: string): void {
    for (let index = 0; index < word.length; index++) {
      if (this.at + index >= this.end || this.bytes[this.at + index] !== word.charCodeAt(index)) {
        this.fail('expected value', this.at + index)
      }
    }
    this.at += word.length
  }

  #skipNumber(): void {
    const { bytes, end } = this
    const start = this.at
    let at = start
    if (bytes[at] === MINUS) at++
    const firstDigit = at
    at = this.#skipDigits(at)
    if (at - firstDigit > 1 && bytes[firstDigit] === ZERO) this.fail('invalid number', firstDigit + 1)
    let scaled = at - start > LONG_NUMBER
    if (at < end && bytes[at] === POINT) at = this.#skipDigits(at + 1)
    if (at < end && ((bytes[at] as number) | 0x20) === 0x65) {
      scaled = true
      at++
      if (at < end && (bytes[at] === PLUS || bytes[at] === MINUS)) at++
      at = this.#skipDigits(at)
    }
    if (scaled && !Number.isFinite(Number(utf8.decode(bytes.subarray(start, at))))) {
      this.#refuse('number out of range', start)
    }
    this.at = at
  }

  #skipDigits(start: number): number {
    let at = start
    while (at < this.end) {
      const byte = this.bytes[at] as number
      if (byte < ZERO || byte > NINE) break
      at++
    }
    if (at === start) this.fail('invalid number', at)
    return at
  }

  /** Passes over the string that begins here. */
  skipString(): void {
    const { bytes, end } = this
    let at = this.at + 1
    while (at < end) {
      const byte = bytes[at] as number
      if (byte === QUOTE) {
        this.at = at + 1
        return
      }
      if (byte === BACKSLASH) at = this.#skipEscape(at)
      else if (byte < 0x20) this.fail('control character (\\u0000-\\u001F) found while parsing a string', at)
      else at++
    }
    throw new JsonError('EOF while parsing a string', bytes, end)
  }

  #skipEscape(start: number): number {
    const kind = this.bytes[start + 1]
    if (start + 1 >= this.end || kind === undefined)
      throw new JsonError('EOF while parsing a string', this.bytes, this.end)
    if (kind !== 0x75) {
      if (!ESCAPES.has(kind)) this.fail('invalid escape', start)
      return start + 2
    }
    const unit = this.#codeUnit(start)
    if (unit < 0xd800 || unit > 0xdfff) return start + 6
    if (unit > 0xdbff || this.bytes[start + 6] !== BACKSLASH || this.bytes[start + 7] !== 0x75) {
      this.#refuse('lone surrogate in hex escape', start)
    }
    const low = this.#codeUnit(start + 6)
    if (low < 0xdc00 || low > 0xdfff) this.#refuse('lone surrogate in hex escape', start)
    return start + 12
  }

  #codeUnit(start: number): number {
    let unit = 0
    for (let at = start + 2; at < start + 6; at++) {
      const digit = at < this.end ? hexDigit(this.bytes[at] as number) : -1
      if (digit < 0) this.fail('invalid escape', at)
      unit = unit * 16 + digit
    }
    return unit
  }
}

/** Longest text that is looked for among the names seen before. */
const NAME_LENGTH = 24

/** Names seen before, each in the place that its bytes point to: a request repeats the same few for every event. */
const names = new Array<string>(256).fill('')

/** The text of `[start, end)`, when it is short and plain ASCII without escapes; decoding takes ten times as long. */
function rememberedName(bytes: Uint8Array, start: number, end: number): string | undefined {
  const length = end - start
  if (length > NAME_LENGTH) return undefined
  let hash = length
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number
    if (byte === BACKSLASH || byte > 0x7e) return undefined
    hash = (hash * 31 + byte) | 0
  }
  const place = hash & 255
  const known = names[place] as string
  if (known.length === length) {
    let at = 0
    while (at < length && known.charCodeAt(at) === bytes[start + at]) at++
    if (at === length) return known
  }
  const name = String.fromCharCode(...bytes.subarray(start, end))
  names[place] = name
  return name
}

const ESCAPES = new Set(Array.from('"\\/bfnrt', (character) => character.charCodeAt(0)))

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

function hexDigit(byte: number): number {
  if (byte >= ZERO && byte <= NINE) return byte - ZERO
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

/** A copy of valid JSON text without the white space outside its strings. */
export function compactJson(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const compact = new Uint8Array(end - start)
  let length = 0
  let inString = false
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number
    if (inString) {
      compact[length++] = byte
      if (byte === BACKSLASH) compact[length++] = bytes[++at] as number
      else if (byte === QUOTE) inString = false
    } else if (byte > 0x20) {
      compact[length++] = byte
      inString = byte === QUOTE
    }
  }
  return compact.subarray(0, length)
}
