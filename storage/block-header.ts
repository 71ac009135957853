import { NODE_ID_LENGTH, type StreamId } from '../core/index.js'
import { ByteReader } from './byte-reader.js'
import { ByteWriter } from './byte-writer.js'
import { HASH_LENGTH } from './chain.js'
import { CHECK_LENGTH } from './checked-value.js'
import { decodeColumns, encodeColumns, type ColumnTarget, type Columns } from './columns.js'
import type { RecordPlace } from './corrupt-record.js'
import { readDictionary, writeDictionary } from './dictionary.js'
import { MAX_RAW_BYTES, type Frame } from './frames.js'

/** What the owner signs of a block: all that identifies its events, nothing of how they are stored here. */
export interface BlockIdentity {
  readonly stream: StreamId
  readonly firstOffset: number
  readonly count: number
  /** Chain before the first and after the last event. */
  readonly previousHash: Buffer
  readonly hash: Buffer
  readonly firstLamport: number
  readonly lastLamport: number
  readonly minTimestamp: number
  readonly maxTimestamp: number
  /** Events of each commit part, in order: the steps of the chain. */
  readonly commits: readonly number[]
}

/** The first value of a block. */
export interface BlockHeader extends BlockIdentity {
  readonly payloadBytes: number
  readonly signature: Buffer
  /** What all frames were deflated behind; may be empty. */
  readonly dictionary: Buffer
  readonly frames: FrameTable
}

/** Where the frames of a block begin and end, and their columns. */
export interface FrameTable {
  readonly count: number
  /** First line of each frame, and at last the number of lines: count + 1 entries. */
  readonly lines: Uint32Array
  /** The same in bytes of inflated lines. */
  readonly positions: Uint32Array
  /** The same in bytes of deflated frames. */
  readonly dataAt: Uint32Array
  /** The same in bytes of `columns`. */
  readonly columnsAt: Uint32Array
  readonly columns: Buffer
}

const VERSION = 2
const CODEC_DEFLATE = 1
const BLOCK_DOMAIN = 'millrace/block/1'

/** Guards against absurd counts: a block is sealed long before. */
const MAX_BLOCK_EVENTS = 1 << 24

/** The canonical bytes that the owner's signature covers. Topic and format version are part of it. */
export function blockSigningBytes(topic: string, block: BlockIdentity): Buffer {
  const writer = new ByteWriter(256)
  writer.text(BLOCK_DOMAIN)
  writer.text(topic)
  writeIdentity(writer, block)
  return writer.finish()
}

/**
 * What such bytes say, nothing of which is checked but that its commits add up to at most so many events.
 *
 * @throws CorruptRecordError for other bytes
 */
export function readBlockSigningBytes(topic: string, bytes: Buffer, maxEvents: number): BlockIdentity {
  const reader = new ByteReader(bytes, 0, { stream: '', offset: 0, part: 'signed block' })
  if (reader.text() !== BLOCK_DOMAIN || reader.text() !== topic) reader.fail('it is about something else')
  const identity = readIdentity(reader, maxEvents)
  reader.end()
  return identity
}

export interface HeaderParts extends BlockIdentity {
  readonly payloadBytes: number
  readonly signature: Uint8Array
  readonly dictionary: Buffer
  readonly frames: readonly Frame[]
  /** Of the whole block, starting at 0. */
  readonly lines: Columns
}

/** The value without its checksum, for which room is left. */
export function encodeBlockHeader(header: HeaderParts): Buffer {
  const { frames, lines } = header
  const columns = new ByteWriter(4 * header.count + 64)
  const ends: number[] = []
  let line = 0
  for (const { count } of frames) {
    encodeColumns(columns, lines, { from: line, to: (line += count) }, header)
    ends.push(columns.length)
  }
  const writer = new ByteWriter(columns.length + 512)
  writer.u32(0) // the checksum comes here
  writer.u8(VERSION)
  writer.u8(CODEC_DEFLATE)
  writeIdentity(writer, header)
  writer.varint(header.payloadBytes)
  writer.sized(header.signature)
  writeDictionary(writer, header.dictionary)
  writer.varint(frames.length)
  frames.forEach(({ count, rawLength, data }, at) => {
    writer.varint(count)
    writer.varint(rawLength)
    writer.varint(data.length)
    writer.varint((ends[at] ?? 0) - (ends[at - 1] ?? 0))
  })
  writer.bytes(columns.finish())
  return writer.finish()
}

/**
 * @param value after its checksum was verified
 * @throws CorruptRecordError
 */
export function decodeBlockHeader(value: Buffer, place: RecordPlace): BlockHeader {
  const reader = beginReading(value, place)
  const identity = readIdentity(reader)
  const payloadBytes = reader.varint()
  const signature = reader.sized()
  const dictionary = readDictionary(reader)
  return { ...identity, payloadBytes, signature, dictionary, frames: readFrameTable(reader, identity.count) }
}

/** Events of a block. */
type BlockStretch = Pick<BlockHeader, 'stream' | 'firstOffset' | 'count'>

/**
 * Which block a header belongs to; nothing else of it is looked at.
 *
 * @throws CorruptRecordError
 */
export function decodeBlockPlace(value: Buffer, place: RecordPlace): BlockStretch {
  const reader = beginReading(value, place)
  return { stream: reader.text(), firstOffset: reader.varint(), count: reader.count(MAX_BLOCK_EVENTS) }
}

function beginReading(value: Buffer, place: RecordPlace): ByteReader {
  const reader = new ByteReader(value, CHECK_LENGTH, place)
  const version = reader.u8()
  if (version !== VERSION) reader.fail(`its format ${String(version)} is not known to this version`)
  if (reader.u8() !== CODEC_DEFLATE) reader.fail('its codec is not known to this version')
  return reader
}

/**
 * The numbers of the lines of some frames, counted from the first line of the first of them; what belongs to frames left
 * out in between is undefined, except that each line ends where the next one begins.
 *
 * @param wanted frames, ascending, at least one; positions are those in the lines of these frames, one after the other
 * @throws CorruptRecordError
 */
export function decodeFrameColumns(header: BlockHeader, wanted: readonly number[], place: RecordPlace): Columns {
  const { frames } = header
  const base = frames.lines[wanted[0] ?? 0] ?? 0
  const count = (frames.lines[(wanted.at(-1) ?? 0) + 1] ?? 0) - base
  const columns = {
    starts: new Uint32Array(count + 1),
    payloads: new Uint32Array(count),
    lamports: new Float64Array(count),
    timestamps: new Float64Array(count),
  }
  const target: ColumnTarget = { columns, line: 0, position: 0 }
  const reader = new ByteReader(frames.columns, 0, place)
  for (const frame of wanted) {
    const first = frames.lines[frame] ?? 0
    const lines = (frames.lines[frame + 1] ?? 0) - first
    const rawLength = (frames.positions[frame + 1] ?? 0) - (frames.positions[frame] ?? 0)
    reader.at = frames.columnsAt[frame] ?? 0
    target.line = first - base
    decodeColumns(reader, target, lines, rawLength, header)
    if (reader.at !== frames.columnsAt[frame + 1]) reader.fail('its columns do not end where they should')
  }
  return columns
}

/** Numbers of all frames. */
export function allFrames({ frames }: BlockHeader): number[] {
  return Array.from({ length: frames.count }, (_, frame) => frame)
}

function writeIdentity(writer: ByteWriter, block: BlockIdentity): void {
  writer.text(block.stream)
  writer.varint(block.firstOffset)
  writer.varint(block.count)
  writer.bytes(block.previousHash)
  writer.bytes(block.hash)
  writer.varint(block.firstLamport)
  writer.varint(block.lastLamport - block.firstLamport)
  writer.f64(block.minTimestamp)
  writer.f64(block.maxTimestamp)
  const runs = runLengths(block.commits)
  writer.varint(runs.length)
  for (const { value, repeats } of runs) {
    writer.varint(value)
    writer.varint(repeats)
  }
}

function readIdentity(reader: ByteReader, maxEvents = MAX_BLOCK_EVENTS): BlockIdentity {
  const stream = reader.text()
  if (stream.length < NODE_ID_LENGTH) reader.fail('its stream id is malformed')
  const firstOffset = reader.varint()
  const count = reader.count(maxEvents)
  if (count === 0) reader.fail('it is empty')
  const previousHash = reader.bytes(HASH_LENGTH)
  const hash = reader.bytes(HASH_LENGTH)
  const firstLamport = reader.varint()
  const lastLamport = firstLamport + reader.varint()
  const minTimestamp = reader.f64()
  const maxTimestamp = reader.f64()
  const commits = readCommits(reader, count)
  return {
    stream,
    firstOffset,
    count,
    previousHash,
    hash,
    firstLamport,
    lastLamport,
    minTimestamp,
    maxTimestamp,
    commits,
  }
}

function readCommits(reader: ByteReader, count: number): number[] {
  const commits: number[] = []
  let sum = 0
  for (let runs = reader.count(count); runs > 0; runs--) {
    const value = reader.varint()
    const repeats = reader.varint()
    sum += value * repeats
    if (value === 0 || repeats === 0 || sum > count) reader.fail('its commits do not add up')
    for (let at = 0; at < repeats; at++) commits.push(value)
  }
  if (sum !== count) reader.fail('its commits do not add up')
  return commits
}

function readFrameTable(reader: ByteReader, events: number): FrameTable {
  const count = reader.count(events)
  const lines = new Uint32Array(count + 1)
  const positions = new Uint32Array(count + 1)
  const dataAt = new Uint32Array(count + 1)
  const columnsAt = new Uint32Array(count + 1)
  let line = 0
  let position = 0
  let data = 0
  let columnAt = 0
  for (let frame = 0; frame < count; frame++) {
    const inFrame = reader.varint()
    line += inFrame
    position += reader.varint()
    data += reader.varint()
    columnAt += reader.varint()
    const fits = inFrame > 0 && line <= events && position <= MAX_RAW_BYTES && data <= MAX_RAW_BYTES
    if (!fits) reader.fail('its frames do not add up')
    lines[frame + 1] = line
    positions[frame + 1] = position
    dataAt[frame + 1] = data
    columnsAt[frame + 1] = columnAt
  }
  if (line !== events || columnAt !== reader.remaining) reader.fail('its frames do not add up')
  return { count, lines, positions, dataAt, columnsAt, columns: reader.bytes(columnAt) }
}

function runLengths(values: readonly number[]): { readonly value: number; repeats: number }[] {
  const runs: { readonly value: number; repeats: number }[] = []
  for (const value of values) {
    const last = runs.at(-1)
    if (last?.value === value) last.repeats++
    else runs.push({ value, repeats: 1 })
  }
  return runs
}
