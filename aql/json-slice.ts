import type { Meta } from './metadata.js'
import {
  booleanValue,
  decimalValue,
  integerValue,
  naturalValue,
  nullValue,
  stringValue,
  type JsonSlice,
  type Value,
} from './value.js'

// Everything here reads JSON that was checked when it was stored: valid, in UTF-8, no white space outside of strings.

const QUOTE = 0x22
const COMMA = 0x2c
const MINUS = 0x2d
const POINT = 0x2e
const ZERO = 0x30
const NINE = 0x39
const OPEN_ARRAY = 0x5b
const BACKSLASH = 0x5c
const CLOSE_ARRAY = 0x5d
const LOWER_F = 0x66
const LOWER_N = 0x6e
const LOWER_T = 0x74
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/** Integers of up to this many digits are added up as doubles without rounding. */
const SAFE_DIGITS = 15

/** Exact powers of ten: a mantissa of at most 15 digits divided by one of them is rounded once, so correctly. */
const POWERS_OF_TEN = Array.from({ length: 23 }, (_, exponent) => 10 ** exponent)

const MIN_INTEGER = -(2n ** 63n)
const MAX_INTEGER = 2n ** 64n - 1n

/** The text of a slice. */
export function sliceText({ bytes, start, end }: JsonSlice): string {
  return decodeUtf8(bytes, start, end)
}

function decodeUtf8(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.isBuffer(bytes)
    ? bytes.toString('utf8', start, end)
    : Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8')
}

/** The value that begins at `start` and ends at `end`; arrays and objects stay text. */
export function readValue(bytes: Uint8Array, start: number, end: number, meta: Meta | undefined): Value {
  switch (bytes[start]) {
    case QUOTE:
      return stringValue(readString(bytes, start, end), meta)
    case OPEN_OBJECT:
    case OPEN_ARRAY:
      return { kind: 'json', data: { bytes, start, end }, meta }
    case LOWER_T:
      return booleanValue(true, meta)
    case LOWER_F:
      return booleanValue(false, meta)
    case LOWER_N:
      return nullValue(meta)
    default:
      return readNumber(bytes, start, end, meta)
  }
}

/** @param end behind the closing quote */
function readString(bytes: Uint8Array, start: number, end: number): string {
  for (let at = start + 1; at < end - 1; at++) {
    if (bytes[at] === BACKSLASH) return JSON.parse(decodeUtf8(bytes, start, end)) as string
  }
  return decodeUtf8(bytes, start + 1, end - 1)
}

function readNumber(bytes: Uint8Array, start: number, end: number, meta: Meta | undefined): Value {
  const negative = bytes[start] === MINUS
  let mantissa = 0
  let pointAt = -1
  let at = negative ? start + 1 : start
  if (end - at > SAFE_DIGITS + 1) return readLongNumber(bytes, start, end, meta)
  for (; at < end; at++) {
    const byte = bytes[at] ?? 0
    if (byte >= ZERO && byte <= NINE) mantissa = mantissa * 10 + (byte - ZERO)
    else if (byte === POINT) pointAt = at
    else return readLongNumber(bytes, start, end, meta)
  }
  if (pointAt < 0) {
    if (mantissa > Number.MAX_SAFE_INTEGER) return readLongNumber(bytes, start, end, meta)
    return negative && mantissa > 0 ? integerValue(-mantissa, meta) : naturalValue(mantissa, meta)
  }
  const size = mantissa / (POWERS_OF_TEN[end - pointAt - 1] ?? 1)
  return decimalValue(negative ? -size : size, meta)
}

/** Without point and exponent an integer if it lies in -2^63 … 2^64-1; anything else is a decimal. */
function readLongNumber(bytes: Uint8Array, start: number, end: number, meta: Meta | undefined): Value {
  const text = decodeUtf8(bytes, start, end)
  // 20 characters hold every integer in range; longer runs of digits must not be multiplied out.
  if (text.length <= 20 && /^-?\d+$/.test(text)) {
    const value = BigInt(text)
    if (value >= 0n && value <= MAX_INTEGER) return naturalValue(value, meta)
    if (value < 0n && value >= MIN_INTEGER) return integerValue(value, meta)
  }
  return decimalValue(Number(text), meta)
}

/** @param at of the opening quote @returns behind the closing one */
function skipString(bytes: Uint8Array, at: number): number {
  for (let next = at + 1; ; next++) {
    const byte = bytes[next]
    if (byte === QUOTE) return next + 1
    if (byte === BACKSLASH) next++
    else if (byte === undefined) return next
  }
}

/** @returns behind the value that begins at `at` */
export function skipValue(bytes: Uint8Array, at: number): number {
  const first = bytes[at]
  if (first === QUOTE) return skipString(bytes, at)
  if (first === OPEN_OBJECT || first === OPEN_ARRAY) return skipContainer(bytes, at)
  let next = at + 1
  for (; next < bytes.length; next++) {
    const byte = bytes[next]
    if (byte === COMMA || byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) break
  }
  return next
}

function skipContainer(bytes: Uint8Array, at: number): number {
  let depth = 0
  let next = at
  while (next < bytes.length) {
    const byte = bytes[next]
    if (byte === QUOTE) next = skipString(bytes, next)
    else {
      next++
      if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) depth++
      else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
        depth--
        if (depth === 0) return next
      }
    }
  }
  return next
}

export function isArraySlice({ bytes, start }: JsonSlice): boolean {
  return bytes[start] === OPEN_ARRAY
}

/** The value of a property, the last one of equal names. */
export function readMember(slice: JsonSlice, name: string, meta: Meta | undefined): Value | undefined {
  const { bytes } = slice
  if (bytes[slice.start] !== OPEN_OBJECT) return undefined
  const wanted = Buffer.from(name)
  let found = -1
  let foundEnd = -1
  let at = slice.start + 1
  while (bytes[at] === QUOTE) {
    const keyEnd = skipString(bytes, at)
    const valueEnd = skipValue(bytes, keyEnd + 1)
    if (isKey(bytes, at, keyEnd, wanted, name)) {
      found = keyEnd + 1
      foundEnd = valueEnd
    }
    at = valueEnd + 1
  }
  return found < 0 ? undefined : readValue(bytes, found, foundEnd, meta)
}

/** Whether the quoted key from `start` to `end` is `name`, whose UTF-8 is `wanted`. */
function isKey(bytes: Uint8Array, start: number, end: number, wanted: Uint8Array, name: string): boolean {
  const length = end - start - 2
  if (length === wanted.length) {
    let at = 0
    while (at < length && bytes[start + 1 + at] === wanted[at]) at++
    // Equal bytes can only be the name itself, unless one of them begins an escape, which is longer than what it means.
    if (at === length && !wanted.includes(BACKSLASH)) return true
  }
  return length > wanted.length && readStringIfEscaped(bytes, start, end) === name
}

function readStringIfEscaped(bytes: Uint8Array, start: number, end: number): string | undefined {
  for (let at = start + 1; at < end - 1; at++) {
    if (bytes[at] === BACKSLASH) return JSON.parse(decodeUtf8(bytes, start, end)) as string
  }
  return undefined
}

/** The element at a position. */
export function readElement(slice: JsonSlice, index: number, meta: Meta | undefined): Value | undefined {
  const { bytes } = slice
  if (bytes[slice.start] !== OPEN_ARRAY) return undefined
  let at = slice.start + 1
  for (let nth = 0; at < slice.end - 1; nth++) {
    const end = skipValue(bytes, at)
    if (nth === index) return readValue(bytes, at, end, meta)
    at = end + 1
  }
  return undefined
}

/** All elements, or `undefined` when there are more than `max` or it is no array. */
export function readElements(slice: JsonSlice, meta: Meta | undefined, max: number): Value[] | undefined {
  const { bytes } = slice
  const values: Value[] = []
  let at = slice.start + 1
  while (at < slice.end - 1) {
    if (values.length >= max) return undefined
    const end = skipValue(bytes, at)
    values.push(readValue(bytes, at, end, meta))
    at = end + 1
  }
  return values
}

/** A step of a path that is known when the query is compiled. */
export type PathStep = string | number

/** More names at one place than this are looked up by a map, whose keys have to be decoded first. */
const COMPARED_NAMES = 8

/** A place of the text that some path goes through or ends at. */
interface PathNode {
  readonly parent: PathNode | undefined
  /** The first names, to be compared as bytes; none when nothing has a name here. */
  readonly names: { readonly name: string; readonly bytes: Uint8Array; readonly node: PathNode }[]
  byName: Map<string, PathNode> | undefined
  elements: Map<number, PathNode> | undefined
  /** The greatest position in `elements`, or -1. */
  lastElement: number
  /** Of the value that was found last. */
  start: number
  end: number
  /** Number of the visit that found it, and of the visit to the parent in which that was. */
  visit: number
  visitOfParent: number
}

/**
 * Finds the values at several paths in one pass over the text, without building anything else. A query that reads two
 * fields of a payload touches each byte once.
 */
export class PathScanner {
  readonly #root = newNode(undefined)
  readonly #slots = new Map<string, number>()
  readonly #nodes: PathNode[] = []
  #visits = 0
  #scanned: JsonSlice | undefined

  /** @returns the slot of the path */
  add(path: readonly PathStep[]): number {
    const key = JSON.stringify(path)
    const known = this.#slots.get(key)
    if (known !== undefined) return known
    let node = this.#root
    for (const step of path) node = childOf(node, step)
    const slot = this.#nodes.push(node) - 1
    this.#slots.set(key, slot)
    this.#scanned = undefined
    return slot
  }

  /** The value at the path of a slot. A slice is scanned once for all slots, as long as no other comes between. */
  read(slot: number, slice: JsonSlice, meta: Meta | undefined): Value | undefined {
    if (this.#scanned !== slice) {
      this.#walk(this.#root, slice.bytes, slice.start, slice.end)
      this.#scanned = slice
    }
    const node = this.#nodes[slot]
    return node === undefined || !isFound(node) ? undefined : readValue(slice.bytes, node.start, node.end, meta)
  }

  /** @returns the end of the value at `start` */
  #walk(node: PathNode, bytes: Uint8Array, start: number, knownEnd?: number): number {
    node.visit = ++this.#visits
    node.visitOfParent = node.parent?.visit ?? 0
    let end: number
    if (bytes[start] === OPEN_OBJECT && node.names.length > 0) end = this.#walkObject(node, bytes, start)
    else if (bytes[start] === OPEN_ARRAY && node.lastElement >= 0) end = this.#walkArray(node, bytes, start)
    else end = knownEnd ?? skipValue(bytes, start)
    node.start = start
    node.end = end
    return end
  }

  #walkObject(node: PathNode, bytes: Uint8Array, start: number): number {
    let at = start + 1
    while (bytes[at] === QUOTE) {
      const keyEnd = skipString(bytes, at)
      const child = findName(node, bytes, at, keyEnd)
      at = (child === undefined ? skipValue(bytes, keyEnd + 1) : this.#walk(child, bytes, keyEnd + 1)) + 1
    }
    // Behind the brace: each member moved `at` over what follows it, and an empty object has not moved at all.
    return at === start + 1 ? at + 1 : at
  }

  #walkArray(node: PathNode, bytes: Uint8Array, start: number): number {
    let at = start + 1
    if (bytes[at] === CLOSE_ARRAY) return at + 1
    for (let nth = 0; ; nth++) {
      const child = nth <= node.lastElement ? node.elements?.get(nth) : undefined
      at = child === undefined ? skipValue(bytes, at) : this.#walk(child, bytes, at)
      if (bytes[at] !== COMMA) return at + 1
      at++
    }
  }
}

/** A repeated name hides all that was found under the earlier one: every place has to be of the last visit above it. */
function isFound(node: PathNode): boolean {
  for (let at = node; at.parent !== undefined; at = at.parent) if (at.visitOfParent !== at.parent.visit) return false
  return true
}

function newNode(parent: PathNode | undefined): PathNode {
  return {
    parent,
    names: [],
    byName: undefined,
    elements: undefined,
    lastElement: -1,
    start: 0,
    end: 0,
    visit: 0,
    visitOfParent: -1,
  }
}

function childOf(node: PathNode, step: PathStep): PathNode {
  const known = typeof step === 'number' ? node.elements?.get(step) : node.byName?.get(step)
  if (known !== undefined) return known
  const child = newNode(node)
  if (typeof step === 'number') {
    node.elements ??= new Map()
    node.elements.set(step, child)
    node.lastElement = Math.max(node.lastElement, step)
  } else {
    node.byName ??= new Map()
    node.byName.set(step, child)
    if (node.names.length < COMPARED_NAMES) node.names.push({ name: step, bytes: Buffer.from(step), node: child })
  }
  return child
}

function findName(node: PathNode, bytes: Uint8Array, start: number, end: number): PathNode | undefined {
  const { byName, names } = node
  if (byName !== undefined && byName.size > COMPARED_NAMES) return byName.get(readString(bytes, start, end))
  for (const candidate of names) {
    if (isKey(bytes, start, end, candidate.bytes, candidate.name)) return candidate.node
  }
  return undefined
}
