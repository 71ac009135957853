import { endOfPiece } from '../core/index.js'
import { isArraySlice, sliceText } from './json-slice.js'
import { decimalText, timestampJson, timestampText } from './numbers.js'
import type { JsonSlice, ObjectMember, Value } from './value.js'

/** Nesting that the JSON of a value may have; payloads have at most 124. */
const MAX_DEPTH = 500

/** Values in one row: those of the greatest sub-query and some more. Keeps the time to write it in bounds. */
const MAX_VALUES = 1_100_000

/** Arrays and objects in one row; they take longer to write than plain values. */
const MAX_CONTAINERS = 300_000

/** Characters of one row. Shared parts (`LET b := [a, a]`) can print exponentially longer than what they hold. */
const MAX_JSON = 16 * 1024 * 1024

/** Characters or bytes of a text that are written at once, and count as so many values. */
const PIECE = 64 * 1024
const VALUES_PER_PIECE = 1000

/** What interpolation makes of a value. */
export function displayText(value: Value): string {
  switch (value.kind) {
    case 'string':
      return value.data
    case 'null':
      return 'NULL'
    case 'boolean':
      return value.data ? 'TRUE' : 'FALSE'
    case 'natural':
    case 'integer':
      return String(value.data)
    case 'decimal':
      return decimalText(value.data)
    case 'timestamp':
      return timestampText(value.data)
    case 'array':
      return 'ARRAY'
    case 'object':
      return 'OBJECT'
    case 'json':
      return isArraySlice(value.data) ? 'ARRAY' : 'OBJECT'
    case 'bytes':
      return `h'${Buffer.from(value.data).toString('hex')}'`
  }
}

/** JSON text of a value, or `undefined` when that would be too long or too deep. */
export function jsonText(value: Value): string | undefined {
  const short = shortJson(value)
  if (short !== undefined) return short
  const writer = new JsonWriter(value)
  writer.advance(Infinity)
  return writer.text
}

/** The JSON of a value that can be written at once, without further ado. */
export function shortJson(value: Value): string | undefined {
  switch (value.kind) {
    case 'array':
    case 'object':
      return undefined
    case 'string':
      return value.data.length > PIECE ? undefined : scalarJson(value)
    case 'json':
      return value.data.end - value.data.start > PIECE ? undefined : scalarJson(value)
    default:
      return scalarJson(value)
  }
}

type Scalar = Exclude<Value, { readonly kind: 'array' | 'object' }>

function scalarJson(value: Scalar): string {
  switch (value.kind) {
    case 'string':
      return JSON.stringify(value.data)
    case 'null':
      return 'null'
    case 'boolean':
      return String(value.data)
    case 'natural':
    case 'integer':
      return String(value.data)
    case 'decimal':
      return decimalJson(value.data)
    case 'timestamp':
      return timestampJson(value.data)
    case 'json':
      return sliceText(value.data)
    case 'bytes':
      return `[${value.data.join(',')}]`
  }
}

/** Shortest digits; a fraction is kept so that the number reads back as a decimal. */
function decimalJson(value: number): string {
  return Math.abs(value) < 1e21 ? (Object.is(value, -0) ? '-0.0' : withPoint(String(value))) : String(value)
}

function withPoint(text: string): string {
  return /^-?\d+$/.test(text) ? `${text}.0` : text
}

/** Something that is partly written. */
type Frame =
  | { readonly kind: 'array'; readonly items: readonly Value[]; next: number }
  | { readonly kind: 'object'; readonly members: readonly ObjectMember[]; next: number }
  | { readonly kind: 'string'; readonly text: string; next: number }
  | { readonly kind: 'slice'; readonly slice: JsonSlice; next: number }

/** Writes the JSON of one value within the limits, in steps: a long row takes a good part of a second. */
export class JsonWriter {
  #text = ''
  #values = 0
  #containers = 0
  #isTooLarge = false
  readonly #frames: Frame[] = []

  constructor(value: Value) {
    this.#begin(value)
  }

  /** What is written, or `undefined` when the value is too long or too deep. */
  get text(): string | undefined {
    return this.#isTooLarge ? undefined : this.#text
  }

  /** Writes about so many values more. @returns whether that was all */
  advance(values: number): boolean {
    let left = values
    while (!this.#isTooLarge) {
      const frame = this.#frames.at(-1)
      if (frame === undefined) return true
      if (left <= 0) return false
      left -= this.#step(frame)
    }
    return true
  }

  #begin(value: Value): void {
    if (++this.#values > MAX_VALUES || this.#text.length > MAX_JSON) this.#isTooLarge = true
    const short = shortJson(value)
    if (short !== undefined) this.#text += short
    else if (value.kind === 'array') this.#enter({ kind: 'array', items: value.data, next: 0 })
    else if (value.kind === 'object') this.#enter({ kind: 'object', members: visibleMembers(value.data), next: 0 })
    else if (value.kind === 'json') this.#frames.push({ kind: 'slice', slice: value.data, next: value.data.start })
    else if (value.kind === 'string') {
      this.#text += '"'
      this.#frames.push({ kind: 'string', text: value.data, next: 0 })
    }
  }

  #enter(frame: Frame): void {
    this.#text += frame.kind === 'array' ? '[' : '{'
    if (this.#frames.length > MAX_DEPTH || ++this.#containers > MAX_CONTAINERS) this.#isTooLarge = true
    this.#frames.push(frame)
  }

  /** @returns what it took, in values */
  #step(frame: Frame): number {
    switch (frame.kind) {
      case 'array': {
        const item = frame.items[frame.next]
        if (item === undefined) this.#leave(']')
        else {
          if (frame.next++ > 0) this.#text += ','
          this.#begin(item)
        }
        return 1
      }
      case 'object': {
        const member = frame.members[frame.next]
        if (member === undefined) this.#leave('}')
        else {
          this.#text += `${frame.next++ > 0 ? ',' : ''}${JSON.stringify(String(member.key))}:`
          this.#begin(member.value)
        }
        return 1
      }
      case 'string': {
        const end = endOfPiece(frame.text, frame.next + PIECE)
        this.#text += JSON.stringify(frame.text.slice(frame.next, end)).slice(1, -1)
        frame.next = end
        if (end === frame.text.length) this.#leave('"')
        return VALUES_PER_PIECE
      }
      case 'slice': {
        const { bytes, end } = frame.slice
        const start = frame.next
        frame.next = Math.min(end, startOfCharacter(bytes, start + PIECE))
        this.#text += sliceText({ bytes, start, end: frame.next })
        if (frame.next === end) this.#leave('')
        return VALUES_PER_PIECE
      }
    }
  }

  #leave(closing: string): void {
    this.#text += closing
    this.#frames.pop()
    if (this.#text.length > MAX_JSON) this.#isTooLarge = true
  }
}

/** The first character of UTF-8 text that begins at `at` or later. */
function startOfCharacter(bytes: Uint8Array, at: number): number {
  let start = at
  while (((bytes[start] ?? 0) & 0xc0) === 0x80) start++
  return start
}

/** In JSON a natural key becomes the string of its digits, and gives way to a string key that is there already. */
function visibleMembers(members: readonly ObjectMember[]): readonly ObjectMember[] {
  if (!members.some((member) => typeof member.key === 'bigint')) return members
  const names = new Set(members.map((member) => member.key))
  return members.filter((member) => typeof member.key === 'string' || !names.has(String(member.key)))
}
