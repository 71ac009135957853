import { LINE_TRAILER_LENGTH } from '../core/index.js'
import type { ByteReader } from './byte-reader.js'
import type { ByteWriter } from './byte-writer.js'
import type { FrameRange } from './frames.js'
import type { Lines } from './lines.js'

/** The numbers of some lines, in arrays that run parallel. */
export type Columns = Pick<Lines, 'starts' | 'payloads' | 'lamports' | 'timestamps'>

/** What the columns of all frames of a block count from. */
export interface ColumnBase {
  readonly firstLamport: number
  readonly minTimestamp: number
}

/** Marks values that lie too far apart for a base and non-negative differences: doubles follow. */
const WIDTH_DOUBLE = 8

/**
 * Writes the columns of one frame: first lamport and the steps between lamports, timestamps, lengths of lines, lengths of
 * headers. Each is stored as its minimum and, in as few bytes as the largest needs, what every value exceeds it by;
 * that is two to four bytes per event in all, and a frame is read without those before it.
 */
export function encodeColumns(writer: ByteWriter, columns: Columns, range: FrameRange, base: ColumnBase): void {
  const { starts, payloads, lamports, timestamps } = columns
  const { from, to } = range
  const values = new Float64Array(to - from)
  writer.varint((lamports[from] ?? 0) - base.firstLamport)
  for (let line = from + 1; line < to; line++)
    values[line - from - 1] = (lamports[line] ?? 0) - (lamports[line - 1] ?? 0)
  writeColumn(writer, values.subarray(0, to - from - 1))
  for (let line = from; line < to; line++) values[line - from] = (timestamps[line] ?? 0) - base.minTimestamp
  writeColumn(writer, values)
  for (let line = from; line < to; line++) values[line - from] = (starts[line + 1] ?? 0) - (starts[line] ?? 0)
  writeColumn(writer, values)
  for (let line = from; line < to; line++) values[line - from] = (payloads[line] ?? 0) - (starts[line] ?? 0)
  writeColumn(writer, values)
}

/** Where {@link decodeColumns} puts the numbers: the arrays have room, `line` and `position` say from where on. */
export interface ColumnTarget {
  readonly columns: Columns
  line: number
  /** Where the next line begins in the bytes. */
  position: number
}

/**
 * Reads the columns of one frame and moves the target on behind them.
 *
 * @throws CorruptRecordError, also when the lengths do not add up to `rawLength`
 */
export function decodeColumns(
  reader: ByteReader,
  target: ColumnTarget,
  count: number,
  rawLength: number,
  base: ColumnBase,
): void {
  const { starts, payloads, lamports, timestamps } = target.columns
  const { line, position } = target
  let lamport = base.firstLamport + reader.varint()
  lamports[line] = lamport
  readColumn(reader, lamports, line + 1, count - 1)
  for (let at = line + 1; at < line + count; at++) lamports[at] = lamport += lamports[at] ?? 0
  readColumn(reader, timestamps, line, count)
  for (let at = line; at < line + count; at++) timestamps[at] = base.minTimestamp + (timestamps[at] ?? 0)
  readColumn(reader, starts, line + 1, count)
  readColumn(reader, payloads, line, count)
  let start = position
  for (let at = line; at < line + count; at++) {
    const next = start + (starts[at + 1] ?? 0)
    const payload = start + (payloads[at] ?? 0)
    if (payload <= start || payload > next - LINE_TRAILER_LENGTH) reader.fail('a line has impossible lengths')
    starts[at] = start
    payloads[at] = payload
    start = next
  }
  if (start !== position + rawLength) reader.fail('the lengths of lines do not add up')
  starts[line + count] = start
  target.line = line + count
  target.position = start
}

function writeColumn(writer: ByteWriter, values: Float64Array): void {
  if (values.length === 0) return
  let min = Infinity
  let max = -Infinity
  for (const value of values) {
    if (value < min) min = value
    if (value > max) max = value
  }
  if (min < 0 || max > Number.MAX_SAFE_INTEGER) {
    writer.u8(WIDTH_DOUBLE)
    for (const value of values) writer.f64(value)
    return
  }
  const width = widthOf(max - min)
  writer.u8(width)
  writer.varint(min)
  if (width > 0) for (const value of values) writer.fixed(value - min, width)
}

/** Bytes that a number takes, 0 to 7. */
function widthOf(value: number): number {
  let width = 0
  for (let rest = value; rest >= 1; rest = Math.floor(rest / 0x100)) width++
  return width
}

/** Single bytes are read one by one: for the usual widths, which are small, that is quicker than any view. */
function readColumn(reader: ByteReader, into: Float64Array | Uint32Array, from: number, count: number): void {
  if (count === 0) return
  const width = reader.u8()
  if (width > WIDTH_DOUBLE) reader.fail('a column has an impossible width')
  if (width === WIDTH_DOUBLE) {
    for (let at = from; at < from + count; at++) into[at] = reader.f64()
    return
  }
  const min = reader.varint()
  reader.need(width * count)
  const { data } = reader
  let place = reader.at
  reader.at += width * count
  if (width === 0) into.fill(min, from, from + count)
  else if (width === 1) for (let at = from; at < from + count; at++) into[at] = min + (data[place++] ?? 0)
  else {
    for (let at = from; at < from + count; at++, place += width) into[at] = min + readFixed(data, place, width)
  }
}

function readFixed(data: Buffer, at: number, width: number): number {
  let value = 0
  for (let byte = width - 1; byte >= 0; byte--) value = value * 0x100 + (data[at + byte] ?? 0)
  return value
}
