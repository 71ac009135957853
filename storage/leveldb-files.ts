import { crc32c, unmaskCrc } from './crc32c.js'

/**
 * Reading of LevelDB's own files, only as far as is needed to check them: LevelDB, as it is built here, verifies no
 * checksum when it reads a table, and ends the process over some malformed ones.
 */

/** A table of the database as its manifest has it. Keys without LevelDB's sequence number, both inclusive. */
export interface TableInfo {
  readonly number: number
  readonly level: number
  readonly smallest: Buffer
  readonly largest: Buffer
}

/** Keys between two bounds, both inclusive; an absent bound is open. */
export interface KeySpan {
  readonly from?: Buffer | undefined
  readonly to?: Buffer | undefined
}

/** Bytes of a log block, and of the header of each piece of a record. */
const LOG_BLOCK = 32_768
const LOG_HEADER = 7

/** Sequence number and kind behind each key. */
const KEY_SUFFIX = 8

const FOOTER_LENGTH = 48
const MAGIC = Buffer.from('57fb808b247547db', 'hex')

/** Compression kind and checksum behind each block. */
const TRAILER_LENGTH = 5
const SNAPPY = 1

/** The tables that are alive at the end of a manifest; what is malformed ends it early, and LevelDB reports that. */
export function readManifest(bytes: Buffer): TableInfo[] {
  const tables = new Map<number, TableInfo>()
  for (const record of logRecords(bytes)) applyEdit(record, tables)
  return [...tables.values()]
}

/** Name of the file of a table. */
export function tableFile(number: number): string {
  return `${String(number).padStart(6, '0')}.ldb`
}

/** Records of a log file, up to the first damage. */
function* logRecords(bytes: Buffer): Generator<Buffer> {
  let pieces: Buffer[] = []
  let at = 0
  while (at + LOG_HEADER <= bytes.length) {
    const left = LOG_BLOCK - (at % LOG_BLOCK)
    if (left < LOG_HEADER) {
      at += left
      continue
    }
    const length = bytes.readUInt16LE(at + 4)
    const kind = bytes[at + 6] ?? 0
    const end = at + LOG_HEADER + length
    if (kind < 1 || kind > 4 || end > bytes.length) return
    if (crc32c(bytes, at + 6, end) !== unmaskCrc(bytes.readUInt32LE(at))) return
    pieces.push(bytes.subarray(at + LOG_HEADER, end))
    // Whole records are kind 1; first, middle and last pieces 2 to 4.
    if (kind === 1 || kind === 4) {
      yield Buffer.concat(pieces)
      pieces = []
    }
    at = end
  }
}

/** Applies one version edit. The numbers are LevelDB's tags. */
function applyEdit(record: Buffer, tables: Map<number, TableInfo>): void {
  const reader = new VarintReader(record)
  while (!reader.isAtEnd) {
    const tag = reader.next()
    if (tag === 1) reader.bytes()
    else if (tag === 2 || tag === 3 || tag === 4 || tag === 9) reader.next()
    else if (tag === 5) {
      reader.next()
      reader.bytes()
    } else if (tag === 6) {
      reader.next()
      tables.delete(reader.next())
    } else if (tag === 7) {
      const level = reader.next()
      const number = reader.next()
      reader.next()
      tables.set(number, { number, level, smallest: userKey(reader.bytes()), largest: userKey(reader.bytes()) })
    } else return
  }
}

/** Where in a table a block lies, without its trailer. */
interface BlockHandle {
  readonly offset: number
  readonly size: number
}

/** A block of entries and the greatest key that may be in it. */
interface DataBlock extends BlockHandle {
  readonly last: Buffer
}

/** What can be done with a table: check its blocks one by one, or nothing at all. */
export interface TableLayout {
  readonly data: readonly DataBlock[]
  /** Blocks without entries: filter and its index. */
  readonly other: readonly BlockHandle[]
}

/** Finds the blocks of a table; `undefined` when footer or index are damaged. */
export function readLayout(bytes: Buffer): TableLayout | undefined {
  const footer = bytes.subarray(bytes.length - FOOTER_LENGTH)
  if (footer.length < FOOTER_LENGTH || !footer.subarray(FOOTER_LENGTH - MAGIC.length).equals(MAGIC)) return undefined
  try {
    const reader = new VarintReader(footer)
    const metaIndex = { offset: reader.next(), size: reader.next() }
    const index = { offset: reader.next(), size: reader.next() }
    if (!isBlockIntact(bytes, index) || !isBlockIntact(bytes, metaIndex)) return undefined
    const data = [...entriesOf(contentOf(bytes, index))].map(([key, value]) => {
      const handle = new VarintReader(value)
      return { offset: handle.next(), size: handle.next(), last: userKey(key) }
    })
    const end = data.reduce((max, { offset, size }) => Math.max(max, offset + size + TRAILER_LENGTH), 0)
    const filterSize = metaIndex.offset - end - TRAILER_LENGTH
    return { data, other: filterSize >= 0 ? [metaIndex, { offset: end, size: filterSize }] : [metaIndex] }
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

export function isBlockIntact(bytes: Buffer, { offset, size }: BlockHandle): boolean {
  const end = offset + size + 1
  if (end + 4 > bytes.length) return false
  return crc32c(bytes, offset, end) === unmaskCrc(bytes.readUInt32LE(end))
}

function contentOf(bytes: Buffer, { offset, size }: BlockHandle): Buffer {
  const content = bytes.subarray(offset, offset + size)
  return bytes[offset + size] === SNAPPY ? unsnappy(content) : content
}

/** Entries of a block: keys share a prefix with the one before. */
function* entriesOf(block: Buffer): Generator<readonly [Buffer, Buffer]> {
  const restarts = block.readUInt32LE(block.length - 4)
  const end = block.length - 4 - 4 * restarts
  const reader = new VarintReader(block.subarray(0, end))
  let key = Buffer.alloc(0)
  while (!reader.isAtEnd) {
    const shared = reader.next()
    const unshared = reader.next()
    const length = reader.next()
    key = Buffer.concat([key.subarray(0, shared), reader.take(unshared)])
    yield [key, reader.take(length)]
  }
}

function userKey(internal: Buffer): Buffer {
  return internal.subarray(0, Math.max(0, internal.length - KEY_SUFFIX))
}

/** Snappy's block format: literals and copies of what came before. @throws RangeError for what is malformed */
function unsnappy(bytes: Buffer): Buffer {
  const reader = new VarintReader(bytes)
  const length = reader.next()
  if (length > 64 * bytes.length) throw new RangeError('implausible length')
  const output = Buffer.alloc(length)
  let at = 0
  while (!reader.isAtEnd) {
    const tag = reader.byte()
    if ((tag & 3) === 0) {
      const short = tag >> 2
      const literal = reader.take((short < 60 ? short : reader.littleEndian(short - 59)) + 1)
      at += literal.copy(output, at)
      continue
    }
    const size = (tag & 3) === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1
    const back = (tag & 3) === 1 ? ((tag >> 5) << 8) | reader.byte() : reader.littleEndian((tag & 3) === 2 ? 2 : 4)
    if (back === 0 || back > at || at + size > length) throw new RangeError('a copy from nowhere')
    // The copy may overlap what it writes.
    for (let copied = 0; copied < size; copied++, at++) output[at] = output[at - back] ?? 0
  }
  if (at !== length) throw new RangeError('a wrong length')
  return output
}

/** Reads LevelDB's little-endian varints. @throws RangeError past the end */
class VarintReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length
  }

  byte(): number {
    const byte = this.#bytes[this.#at++]
    if (byte === undefined) throw new RangeError('it ends too early')
    return byte
  }

  next(): number {
    let value = 0
    for (let scale = 1; scale <= 2 ** 49; scale *= 128) {
      const byte = this.byte()
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
    throw new RangeError('a number is too long')
  }

  littleEndian(width: number): number {
    return this.take(width).readUIntLE(0, width)
  }

  take(length: number): Buffer {
    const taken = this.#bytes.subarray(this.#at, this.#at + length)
    if (taken.length < length) throw new RangeError('it ends too early')
    this.#at += length
    return taken
  }

  /** Length and bytes. */
  bytes(): Buffer {
    return this.take(this.next())
  }
}
