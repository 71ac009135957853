import type { StreamId } from '../core/index.js'
import { ByteReader } from './byte-reader.js'
import { ByteWriter } from './byte-writer.js'
import { HASH_LENGTH, nextHash } from './chain.js'
import { CHECK_LENGTH, openValue, sealValue } from './checked-value.js'
import { CorruptRecordError, type RecordPlace } from './corrupt-record.js'
import { readDictionary, writeDictionary } from './dictionary.js'
import {
  cutFrames,
  deflateFrame,
  deflateFrameAsync,
  dictionaryOf,
  inflateFrames,
  MAX_RAW_BYTES,
  NO_DICTIONARY,
  type Frame,
  type FrameRange,
} from './frames.js'
import { parseLines } from './line-parser.js'
import { lineBytes, lineCount, type Lines } from './lines.js'

/** Format of tail records; a reader refuses what it does not know. */
const VERSION = 2

/** Lines as they are, or in frames. */
const CODEC_STORED = 0
const CODEC_DEFLATE = 1

/** Fewer events hardly shrink, and not deflating them keeps the single small commit quick. */
const MIN_DEFLATED_EVENTS = 8

/** Bytes of lines from which even a single event is deflated. */
const MIN_DEFLATED_BYTES = 16 * 1024

/** Bytes of a frame, which is then a single event, from which zlib's threads deflate it: several milliseconds. */
const MIN_ASYNC_BYTES = 256 * 1024

/** One commit part of one stream, ready to be stored under (stream, first offset). */
export interface EncodedTail {
  readonly hash: Buffer
  readonly value: Buffer
  /** What was deflated, in order and covering all lines, or empty. To be kept until sealing, which uses it again. */
  readonly frames: readonly Frame[]
}

/** A commit part read back. */
export interface DecodedTail {
  readonly lines: Lines
  readonly previousHash: Buffer
  readonly hash: Buffer
  readonly frames: readonly Frame[]
  /** Whether it is the first of its block. */
  readonly beginsBlock: boolean
}

/** What a commit part continues. */
export interface TailBefore {
  /** Chain before it. */
  readonly hash: Uint8Array
  /** Dictionary of the block that it goes on with; absent when it begins one, which then takes its own beginning. */
  readonly dictionary?: Buffer | undefined
}

/** Deflates on the calling thread. */
export function encodeTailRecord(lines: Lines, before: TailBefore): EncodedTail {
  const dictionary = before.dictionary ?? dictionaryOf(lines)
  const frames = frameRanges(lines).map((range) => deflateFrame({ lines, range, dictionary, waiting: 'publisher' }))
  return encode(lines, before, { frames, dictionary })
}

/** As {@link encodeTailRecord}, but large events are deflated in zlib's threads. */
export async function encodeTailRecordAsync(lines: Lines, before: TailBefore): Promise<EncodedTail> {
  const ranges = frameRanges(lines)
  const { starts } = lines
  const isLarge = ({ from, to }: FrameRange) => (starts[to] ?? 0) - (starts[from] ?? 0) >= MIN_ASYNC_BYTES
  if (!ranges.some(isLarge)) return encodeTailRecord(lines, before)
  const dictionary = before.dictionary ?? dictionaryOf(lines)
  const frames: Frame[] = []
  for (const range of ranges) {
    const request = { lines, range, dictionary, waiting: 'publisher' } as const
    frames.push(isLarge(range) ? await deflateFrameAsync(request) : deflateFrame(request))
  }
  return encode(lines, before, { frames, dictionary })
}

/**
 * Reads a record back and checks all of it: checksum over key and content, every line, hash.
 *
 * @param inherited dictionary of the block that the record before this one belongs to
 * @throws CorruptRecordError
 */
export function decodeTailRecord(
  stream: StreamId,
  firstOffset: number,
  value: Buffer,
  inherited: Buffer | undefined,
): DecodedTail {
  const place: RecordPlace = { stream, offset: firstOffset, part: 'tail record' }
  const reader = new ByteReader(openValue(checkKey(stream, firstOffset), value, place), CHECK_LENGTH, place)
  const version = reader.u8()
  if (version !== VERSION) reader.fail(`its format ${String(version)} is not known to this version`)
  const codec = reader.u8()
  const beginsBlock = reader.u8() === 1
  const previousHash = reader.bytes(HASH_LENGTH)
  const hash = reader.bytes(HASH_LENGTH)
  if (codec !== CODEC_DEFLATE && codec !== CODEC_STORED) reader.fail('its codec is unknown')
  const { frames, raw } =
    codec === CODEC_DEFLATE
      ? inflate(reader, beginsBlock ? readDictionary(reader) : inherited, place)
      : { frames: [], raw: reader.bytes(reader.remaining) }
  reader.end()
  const lines = parseLines(stream, firstOffset, raw)
  const framed = frames.reduce((sum, frame) => sum + frame.count, 0)
  if (lineCount(lines) === 0 || (frames.length > 0 && framed !== lineCount(lines))) reader.fail('its counts differ')
  if (!nextHash(previousHash, lines).equals(hash)) throw new CorruptRecordError(place, 'its hash is wrong')
  return { lines, previousHash, hash, frames, beginsBlock }
}

function frameRanges(lines: Lines): ReturnType<typeof cutFrames> {
  const deflated = lineCount(lines) >= MIN_DEFLATED_EVENTS || lineBytes(lines).length >= MIN_DEFLATED_BYTES
  return deflated ? cutFrames(lines.starts, 0, lineCount(lines)) : []
}

function encode(
  lines: Lines,
  before: TailBefore,
  { frames, dictionary }: { readonly frames: readonly Frame[]; readonly dictionary: Buffer },
): EncodedTail {
  const hash = nextHash(before.hash, lines)
  const content = frames.length === 0 ? [lineBytes(lines)] : frames.map(({ data }) => data)
  const beginsBlock = before.dictionary === undefined
  const room = content.reduce((sum, { length }) => sum + length, 128 + 12 * frames.length)
  const writer = new ByteWriter(room + (beginsBlock ? dictionary.length : 0))
  writer.u32(0) // the checksum comes here
  writer.u8(VERSION)
  writer.u8(frames.length === 0 ? CODEC_STORED : CODEC_DEFLATE)
  writer.u8(beginsBlock ? 1 : 0)
  writer.bytes(before.hash)
  writer.bytes(hash)
  if (frames.length > 0) {
    if (beginsBlock) writeDictionary(writer, dictionary)
    writeFrameTable(writer, frames)
  }
  for (const bytes of content) writer.bytes(bytes)
  return { hash, value: sealValue(checkKey(lines.stream, lines.firstOffset), writer.finish()), frames }
}

function writeFrameTable(writer: ByteWriter, frames: readonly Frame[]): void {
  writer.varint(frames.length)
  for (const { count, rawLength, data } of frames) {
    writer.varint(count)
    writer.varint(rawLength)
    writer.varint(data.length)
  }
}

function readFrames(reader: ByteReader): Frame[] {
  const table = Array.from({ length: reader.count(reader.remaining) }, () => ({
    count: reader.varint(),
    rawLength: reader.count(MAX_RAW_BYTES),
    length: reader.varint(),
  }))
  return table.map(({ count, rawLength, length }) => ({ count, rawLength, data: reader.bytes(length) }))
}

function inflate(
  reader: ByteReader,
  dictionary: Buffer | undefined,
  place: RecordPlace,
): { readonly frames: readonly Frame[]; readonly raw: Buffer } {
  const frames = readFrames(reader)
  return { frames, raw: inflateFrames(frames, dictionary ?? NO_DICTIONARY, place) }
}

/** What the checksum covers beside the value, whatever the key looks like in the store. */
function checkKey(stream: StreamId, firstOffset: number): string {
  return `tail/${stream}/${String(firstOffset)}/`
}
