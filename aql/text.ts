import { isArraySlice, sliceText } from './json-slice.js'
import { decimalText, timestampJson, timestampText } from './numbers.js'
import type { ObjectMember, Value } from './value.js'

/** Nesting that the JSON of a value may have; payloads have at most 124. */
const MAX_DEPTH = 500

/** Characters of one row. Shared parts (`LET b := [a, a]`) can print exponentially longer than what they hold. */
const MAX_JSON = 16 * 1024 * 1024

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
  return isScalar(value) ? scalarJson(value) : new JsonWriter().write(value)
}

type Scalar = Exclude<Value, { readonly kind: 'array' | 'object' }>

function isScalar(value: Value): value is Scalar {
  return value.kind !== 'array' && value.kind !== 'object'
}

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

/** Collects pieces of text up to the limit. */
class JsonWriter {
  #length = 0
  readonly #pieces: string[] = []

  write(value: Value): string | undefined {
    return this.#value(value, 0) ? this.#pieces.join('') : undefined
  }

  #put(text: string): boolean {
    this.#length += text.length
    this.#pieces.push(text)
    return this.#length <= MAX_JSON
  }

  #value(value: Value, depth: number): boolean {
    if (isScalar(value)) return this.#put(scalarJson(value))
    if (depth > MAX_DEPTH) return false
    return value.kind === 'array' ? this.#array(value.data, depth) : this.#object(value.data, depth)
  }

  #array(items: readonly Value[], depth: number): boolean {
    if (!this.#put('[')) return false
    for (const [nth, item] of items.entries()) {
      if (nth > 0 && !this.#put(',')) return false
      if (!this.#value(item, depth + 1)) return false
    }
    return this.#put(']')
  }

  #object(members: readonly ObjectMember[], depth: number): boolean {
    let separator = '{'
    for (const { key, value } of visibleMembers(members)) {
      if (!this.#put(`${separator}${JSON.stringify(String(key))}:`) || !this.#value(value, depth + 1)) return false
      separator = ','
    }
    return this.#put(separator === '{' ? '{}' : '}')
  }
}

/** In JSON a natural key becomes the string of its digits, and gives way to a string key that is there already. */
function visibleMembers(members: readonly ObjectMember[]): readonly ObjectMember[] {
  if (!members.some((member) => typeof member.key === 'bigint')) return members
  const names = new Set(members.map((member) => member.key))
  return members.filter((member) => typeof member.key === 'string' || !names.has(String(member.key)))
}
