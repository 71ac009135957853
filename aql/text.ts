import { isArraySlice, sliceText } from './json-slice.js'
import { decimalText, timestampJson, timestampText } from './numbers.js'
import type { ObjectMember, Value } from './value.js'

/** Nesting that the JSON of a value may have; payloads have at most 124. */
const MAX_DEPTH = 500

/** Values in one row: those of the greatest sub-query and some more. Keeps the time to write it in bounds. */
const MAX_VALUES = 1_100_000

/** Arrays and objects in one row; they take longer to write than plain values. */
const MAX_CONTAINERS = 300_000

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

/** Adds up text within the limits. */
class JsonWriter {
  #text = ''
  #values = 0
  #containers = 0

  write(value: Value): string | undefined {
    return this.#value(value, 0) ? this.#text : undefined
  }

  #value(value: Value, depth: number): boolean {
    if (isScalar(value)) this.#text += scalarJson(value)
    else {
      if (depth > MAX_DEPTH || ++this.#containers > MAX_CONTAINERS) return false
      const written = value.kind === 'array' ? this.#array(value.data, depth) : this.#object(value.data, depth)
      if (!written) return false
    }
    return ++this.#values <= MAX_VALUES && this.#text.length <= MAX_JSON
  }

  #array(items: readonly Value[], depth: number): boolean {
    let separator = '['
    for (const item of items) {
      this.#text += separator
      if (!this.#value(item, depth + 1)) return false
      separator = ','
    }
    this.#text += items.length === 0 ? '[]' : ']'
    return true
  }

  #object(members: readonly ObjectMember[], depth: number): boolean {
    let separator = '{'
    for (const { key, value } of visibleMembers(members)) {
      this.#text += `${separator}${JSON.stringify(String(key))}:`
      if (!this.#value(value, depth + 1)) return false
      separator = ','
    }
    this.#text += members.length === 0 ? '{}' : '}'
    return true
  }
}

/** In JSON a natural key becomes the string of its digits, and gives way to a string key that is there already. */
function visibleMembers(members: readonly ObjectMember[]): readonly ObjectMember[] {
  if (!members.some((member) => typeof member.key === 'bigint')) return members
  const names = new Set(members.map((member) => member.key))
  return members.filter((member) => typeof member.key === 'string' || !names.has(String(member.key)))
}
