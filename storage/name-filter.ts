import type { ByteReader } from './byte-reader.js'
import type { ByteWriter } from './byte-writer.js'

/**
 * Which tags (or app ids) occur among some events: all of them by name, or a Bloom filter that may say yes wrongly but
 * never no, or nothing at all when a filter would be too full to help.
 */
export type NameFilter =
  | { readonly kind: 'exact'; readonly names: ReadonlySet<string> }
  | { readonly kind: 'bloom'; readonly bits: Buffer }
  | { readonly kind: 'unknown' }

/** How long a list may be before it becomes a filter. */
export interface ListLimits {
  readonly names: number
  /** UTF-16 units of all names. */
  readonly length: number
}

/** For one block. */
export const BLOCK_LIMITS: ListLimits = { names: 48, length: 1024 }

/** For a group of blocks, which is loaded instead of up to 64 single summaries. */
export const GROUP_LIMITS: ListLimits = { names: 512, length: 8192 }

/** Bits per name at least; sizes are powers of two, so it is 10 to 20: false positives below 1 %. */
const BITS_PER_NAME = 10

const HASHES = 7

/** Bytes of a filter. The smallest and the largest. */
const MIN_BYTES = 64
const MAX_BYTES = 8192

/** Share of ones above which a filter lets nearly everything pass and is dropped. */
const FULL = 0.85

export function filterOf(names: ReadonlySet<string>, limits: ListLimits): NameFilter {
  let length = 0
  for (const name of names) length += name.length
  if (names.size <= limits.names && length <= limits.length) return { kind: 'exact', names }
  const bits = Buffer.alloc(sizeFor(names.size))
  for (const name of names) addTo(bits, name)
  return withoutFull(bits)
}

/** What the union of the events has. Filters of different sizes are spread over the size of the largest. */
export function mergeFilters(filters: readonly NameFilter[], limits: ListLimits): NameFilter {
  const names = new Set<string>()
  const blooms: Buffer[] = []
  for (const filter of filters) {
    if (filter.kind === 'unknown') return filter
    if (filter.kind === 'bloom') blooms.push(filter.bits)
    else for (const name of filter.names) names.add(name)
  }
  if (blooms.length === 0) return filterOf(names, limits)
  const merged = Buffer.alloc(blooms.reduce((size, { length }) => Math.max(size, length), sizeFor(names.size)))
  for (const bits of blooms) {
    for (let at = 0; at < merged.length; at++) merged[at] = (merged[at] ?? 0) | (bits[at & (bits.length - 1)] ?? 0)
  }
  for (const name of names) addTo(merged, name)
  return withoutFull(merged)
}

export function mayHave(filter: NameFilter, name: string): boolean {
  switch (filter.kind) {
    case 'exact':
      return filter.names.has(name)
    case 'bloom':
      return isIn(filter.bits, name)
    case 'unknown':
      return true
  }
}

export function mayHaveAny(filter: NameFilter, names: ReadonlySet<string>): boolean {
  if (filter.kind === 'unknown') return names.size > 0
  if (filter.kind === 'exact' && filter.names.size < names.size) {
    for (const name of filter.names) if (names.has(name)) return true
    return false
  }
  for (const name of names) if (mayHave(filter, name)) return true
  return false
}

const KINDS = ['exact', 'bloom', 'unknown'] as const

export function writeFilter(writer: ByteWriter, filter: NameFilter): void {
  writer.u8(KINDS.indexOf(filter.kind))
  // JSON keeps every name apart, also those that are no well-formed UTF-16.
  if (filter.kind === 'exact') writer.text(JSON.stringify([...filter.names]))
  if (filter.kind === 'bloom') writer.sized(filter.bits)
}

export function readFilter(reader: ByteReader): NameFilter {
  const kind = KINDS[reader.u8()]
  switch (kind) {
    case 'exact':
      return { kind, names: new Set(parseNames(reader)) }
    case 'bloom': {
      const bits = reader.sized()
      if (bits.length < MIN_BYTES || (bits.length & (bits.length - 1)) !== 0) reader.fail('a filter has an odd size')
      return { kind, bits }
    }
    case 'unknown':
      return { kind }
    default:
      return reader.fail('a filter has an unknown form')
  }
}

function parseNames(reader: ByteReader): string[] {
  const text = reader.text()
  try {
    const names: unknown = JSON.parse(text)
    if (Array.isArray(names) && names.every((name) => typeof name === 'string')) return names
  } catch {
    // Said below.
  }
  reader.fail('a list of names is malformed')
}

function sizeFor(names: number): number {
  const bytes = 2 ** Math.ceil(Math.log2(Math.max(1, (names * BITS_PER_NAME) / 8)))
  return Math.min(MAX_BYTES, Math.max(MIN_BYTES, bytes))
}

function withoutFull(bits: Buffer): NameFilter {
  let ones = 0
  for (const byte of bits) for (let rest = byte; rest !== 0; rest &= rest - 1) ones++
  return ones > FULL * 8 * bits.length ? { kind: 'unknown' } : { kind: 'bloom', bits }
}

function addTo(bits: Buffer, name: string): void {
  const first = hash(name, 0x811c9dc5)
  const step = hash(name, 0x9747b28c) | 1
  for (let round = 0; round < HASHES; round++) {
    const bit = (first + Math.imul(round, step)) & (8 * bits.length - 1)
    bits[bit >> 3] = (bits[bit >> 3] ?? 0) | (1 << (bit & 7))
  }
}

function isIn(bits: Buffer, name: string): boolean {
  const first = hash(name, 0x811c9dc5)
  const step = hash(name, 0x9747b28c) | 1
  for (let round = 0; round < HASHES; round++) {
    const bit = (first + Math.imul(round, step)) & (8 * bits.length - 1)
    if (((bits[bit >> 3] ?? 0) & (1 << (bit & 7))) === 0) return false
  }
  return true
}

/** FNV-1a over UTF-16 units with a final mix (that of MurmurHash 3). Part of the format. */
function hash(text: string, seed: number): number {
  let value = seed
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193)
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35)
  return value ^ (value >>> 16)
}
