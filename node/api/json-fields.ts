import { isUtf8 } from 'node:buffer'
import { JsonError, JsonScanner, parseOffsetMap, type OffsetMap } from '../../core/index.js'

/** Reads the value at which the scanner stands, and leaves the scanner behind it. */
export type ValueReader<T> = (scanner: JsonScanner) => T

/** A member of an object, and how it is read. */
export interface Field<T> {
  readonly read: ValueReader<T>
  readonly required: boolean
}

/** What an object with these fields is read to. */
export type Fields<S> = { readonly [K in keyof S]: S[K] extends Field<infer T> ? T : never }

const LETTER_F = 0x66
const LETTER_N = 0x6e
const LETTER_T = 0x74

export function required<T>(read: ValueReader<T>): Field<T> {
  return { read, required: true }
}

/** The member may be missing or `null`; both give `undefined`. */
export function optional<T>(read: ValueReader<T>): Field<T | undefined> {
  return { read: (scanner) => readOptional(scanner, read), required: false }
}

/**
 * Reads the one object in `[start, end)`. Other members than `fields` are ignored; those may stand only once.
 *
 * @param expected what errors call the object
 * @throws JsonError
 */
export function readObject<S extends Readonly<Record<string, Field<unknown>>>>(
  bytes: Uint8Array,
  start: number,
  end: number,
  expected: string,
  fields: S,
): Fields<S> {
  if (!isUtf8(bytes.subarray(start, end))) throw new JsonError('invalid unicode code point', bytes, start)
  const scanner = new JsonScanner(bytes, start, end)
  const values: Record<string, unknown> = {}
  scanner.members(expected, (name) => {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined
    if (field === undefined) {
      scanner.skipValue()
      return
    }
    if (Object.hasOwn(values, name)) scanner.fail(`duplicate field \`${name}\``)
    values[name] = field.read(scanner)
  })
  const close = scanner.at - 1
  scanner.expectEnd()
  for (const [name, field] of Object.entries(fields)) {
    if (Object.hasOwn(values, name)) continue
    if (field.required) throw new JsonError(`missing field \`${name}\``, bytes, close)
    values[name] = undefined
  }
  return values as Fields<S>
}

export function readString(scanner: JsonScanner): string {
  return scanner.string()
}

/** @throws JsonError */
export function readBoolean(scanner: JsonScanner): boolean {
  const first = scanner.peek()
  if (first !== LETTER_T && first !== LETTER_F) scanner.fail('expected a boolean')
  scanner.skipValue()
  return first === LETTER_T
}

function readOptional<T>(scanner: JsonScanner, read: ValueReader<T>): T | undefined {
  if (scanner.peek() !== LETTER_N) return read(scanner)
  scanner.skipValue()
  return undefined
}

/** @throws JsonError unless the value is a whole number without sign, fraction and exponent up to 2^53-1 */
export function readUnsigned(scanner: JsonScanner): number {
  return readInteger(scanner, 0)
}

/** An offset map; -1 means the same as absence. */
export function readOffsetMap(scanner: JsonScanner): OffsetMap {
  const offsets: Record<string, number> = Object.create(null) as Record<string, number>
  scanner.members('a map of stream id to offset', (stream) => {
    offsets[stream] = readInteger(scanner, -1)
  })
  return parseOffsetMap(offsets)
}

function readInteger(scanner: JsonScanner, least: number): number {
  const start = scanner.at
  scanner.skipValue()
  // Longer texts are no integers that we accept; a cut keeps big values out of the decoder.
  const length = Math.min(scanner.at - start, 20)
  const text = Buffer.from(scanner.bytes.buffer, scanner.bytes.byteOffset + start, length).toString('latin1')
  const value = /^-?[0-9]+$/.test(text) ? Number(text) : NaN
  if (!Number.isSafeInteger(value) || value < least) {
    throw new JsonError(`expected an integer from ${String(least)} to 2^53-1`, scanner.bytes, start)
  }
  return value
}
