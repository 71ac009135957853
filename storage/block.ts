import { deflateRaw } from 'node:zlib'
import type { TagSet } from '../core/index.js'
import {
  allFrames,
  blockSigningBytes,
  decodeBlockHeader,
  decodeFrameColumns,
  encodeBlockHeader,
  type BlockHeader,
  type BlockIdentity,
} from './block-header.js'
import { encodeSummary, type BlockSummary, type EventsSummary } from './block-summary.js'
import { ByteReader } from './byte-reader.js'
import { ByteWriter } from './byte-writer.js'
import { nextHash } from './chain.js'
import { CHECK_LENGTH, openValue, sealValue } from './checked-value.js'
import { CorruptRecordError, type RecordPlace } from './corrupt-record.js'
import {
  cutFrames,
  deflateFrameAsync,
  dictionaryOf,
  inflateFrames,
  inflateFramesAsync,
  MAX_RAW_BYTES,
  NO_DICTIONARY,
  type DeflatedFrame,
  type Frame,
  type FrameRange,
} from './frames.js'
import { parseLines } from './line-parser.js'
import { joinLines, lineBytes, lineCount, payloadBytes, type Lines } from './lines.js'
import { BLOCK_LIMITS, filterOf } from './name-filter.js'
import { encodePositions, openPositions, type PositionIndex } from './position-index.js'
import { StoreCorruptError } from './store-errors.js'

/** A sealed block is several values under (arrival number, part): header, positions, and some frames each. */
export const HEADER_PART = 0
export const POSITIONS_PART = 1
export const FIRST_FRAMES_PART = 2

/** Neighbouring frames in one value: a value costs more to fetch than its bytes. */
export const FRAMES_PER_PART = 8

/** Positions longer than this are deflated, bytes. */
const MAX_PLAIN_POSITIONS = 1024

/** Frames of the tail are taken over when they have this many events or bytes of lines; smaller ones deflate badly. */
const MIN_REUSED_EVENTS = 20
const MIN_REUSED_BYTES = 8 * 1024

/** Events of one commit that lie in the block. */
export interface BlockPart {
  readonly lines: Lines
  /** Chain after it. */
  readonly hash: Buffer
  /** What its tail record was deflated to, or nothing. */
  readonly frames: readonly Frame[]
}

/** What {@link encodeBlock} seals. */
export interface BlockRequest {
  readonly topic: string
  /** Number that no other block of this store has or had. */
  readonly arrival: number
  /** Chain before the first part. */
  readonly previousHash: Buffer
  /** In order, without a gap, at least one. */
  readonly parts: readonly BlockPart[]
  /** What the frames were deflated behind. */
  readonly dictionary: Buffer
  /** All lines, starting at 0, and their frames, taken over as they are; absent when those of the parts are to be used. */
  readonly whole?: { readonly lines: Lines; readonly frames: readonly Frame[] }
  /** The owner's signature of these bytes: made here, or for a replica the one received. */
  readonly sign: (bytes: Uint8Array) => Promise<Uint8Array>
}

export interface BlockEntry {
  readonly part: number
  readonly key: Buffer
  readonly value: Buffer
}

export interface EncodedBlock {
  /** The owner's. */
  readonly signature: Uint8Array
  readonly entries: readonly BlockEntry[]
  readonly summary: BlockSummary
  /** The index entry. */
  readonly summaryValue: Buffer
  /** Bytes of all values of `entries`: what counts for `maxSize`. */
  readonly storedBytes: number
}

/** Key in the store of blocks: sorts by arrival number, then part. */
export function blockKey(arrival: number, part: number): Buffer {
  const key = Buffer.allocUnsafe(12)
  key.writeUInt32BE(Math.floor(arrival / 2 ** 32), 0)
  key.writeUInt32BE(arrival % 2 ** 32, 4)
  key.writeUInt32BE(part, 8)
  return key
}

/** @returns `undefined` for bytes that are no such key */
export function parseBlockKey(key: Uint8Array): { readonly arrival: number; readonly part: number } | undefined {
  if (key.length !== 12) return undefined
  const view = Buffer.from(key.buffer, key.byteOffset, key.length)
  return { arrival: view.readUInt32BE(0) * 2 ** 32 + view.readUInt32BE(4), part: view.readUInt32BE(8) }
}

/** Seals commit parts into a block. Deflates in zlib's threads, one frame at a time, so that commits get their turn. */
export async function encodeBlock(request: BlockRequest): Promise<EncodedBlock> {
  const { arrival, parts, whole } = request
  const lines = whole?.lines ?? joinLines(parts.map((part) => part.lines))
  const { frames, dictionary } =
    whole === undefined ? await frameBlock(lines, request) : { frames: whole.frames, dictionary: request.dictionary }
  const positions = await deflatePositions(encodePositions(lines.tags, lines.appIds))
  const identity = identifyBlock(request.previousHash, parts)
  const signature = await request.sign(blockSigningBytes(request.topic, identity))
  const payload = payloadBytes(lines)
  const header = encodeBlockHeader({ ...identity, payloadBytes: payload, signature, dictionary, frames, lines })
  const values = [header, positions, ...groupFrames(frames)]
  const entries = values.map((value, part) => {
    const key = blockKey(arrival, part)
    return { part, key, value: sealValue(key, value) }
  })
  const storedBytes = values.reduce((sum, { length }) => sum + length, 0)
  const summary = summarise(identity, lines, { arrival, storedBytes, parts: entries.length })
  return { signature, entries, summary, summaryValue: encodeSummary(summary), storedBytes }
}

function summarise(
  identity: BlockIdentity,
  lines: Lines,
  stored: Pick<BlockSummary, 'arrival' | 'storedBytes' | 'parts'>,
): BlockSummary {
  return {
    ...eventsOf(identity),
    ...stored,
    payloadBytes: payloadBytes(lines),
    tags: filterOf(distinctTags(lines.tags), BLOCK_LIMITS),
    apps: filterOf(new Set(lines.appIds), BLOCK_LIMITS),
    previousHash: identity.previousHash,
    hash: identity.hash,
  }
}

export function blockPlace(summary: BlockSummary, part: number): RecordPlace {
  const names = ['block header', 'block positions']
  const name = names[part] ?? `block frames ${String(part - FIRST_FRAMES_PART)}`
  return { stream: summary.stream, offset: summary.firstOffset, part: name }
}

/** Whether a {@link RecordPlace} is in a sealed block, by its part; its offset is the block's first one then. */
export function isBlockPart(part: string): boolean {
  return /^block\b/.test(part)
}

/** What the database said of a damaged table, as something that is wrong with one block. */
export function damageOfBlock(summary: BlockSummary, error: unknown): unknown {
  if (!(error instanceof StoreCorruptError)) return error
  return new CorruptRecordError(blockPlace(summary, HEADER_PART), error.message, { cause: error })
}

/**
 * Checks that the value of a part is there and is the one that was written there.
 *
 * @throws CorruptRecordError
 */
export function openBlockValue(summary: BlockSummary, part: number, value: Buffer | undefined): Buffer {
  const place = blockPlace(summary, part)
  if (value === undefined) throw new CorruptRecordError(place, 'it is missing', { missing: true })
  return openValue(blockKey(summary.arrival, part), value, place)
}

/**
 * The header, if it is the one that the index entry tells of.
 *
 * @throws CorruptRecordError
 */
export function openBlockHeader(summary: BlockSummary, value: Buffer | undefined): BlockHeader {
  const place = blockPlace(summary, HEADER_PART)
  const header = decodeBlockHeader(openBlockValue(summary, HEADER_PART, value), place)
  const same =
    header.stream === summary.stream &&
    header.firstOffset === summary.firstOffset &&
    header.count === summary.count &&
    header.hash.equals(summary.hash) &&
    header.previousHash.equals(summary.previousHash) &&
    frameParts(header) === summary.parts - FIRST_FRAMES_PART
  if (!same) throw new CorruptRecordError(place, 'it does not agree with its index entry')
  return header
}

/** @throws CorruptRecordError */
export function openBlockPositions(summary: BlockSummary, value: Buffer | undefined): PositionIndex {
  return openPositions(positionBytes(summary, value), summary.count, blockPlace(summary, POSITIONS_PART))
}

/** Which part holds a frame. */
export function framePart(frame: number): number {
  return FIRST_FRAMES_PART + Math.floor(frame / FRAMES_PER_PART)
}

/** Values that hold frames. */
export function frameParts({ frames }: BlockHeader): number {
  return Math.ceil(frames.count / FRAMES_PER_PART)
}

/**
 * The lines of some frames, one after the other.
 *
 * @param values of all parts that hold one of the frames, by part
 * @throws CorruptRecordError
 */
export function openBlockFrames(
  summary: BlockSummary,
  header: BlockHeader,
  frames: readonly number[],
  values: ReadonlyMap<number, Buffer | undefined>,
): Promise<Buffer> {
  const deflated = deflatedFrames(summary, header, frames, values)
  return inflateFramesAsync(deflated, header.dictionary, blockPlace(summary, framePart(frames[0] ?? 0)))
}

/** Each value is checked once. */
function deflatedFrames(
  summary: BlockSummary,
  header: BlockHeader,
  frames: readonly number[],
  values: ReadonlyMap<number, Buffer | undefined>,
): DeflatedFrame[] {
  const { dataAt, positions } = header.frames
  let part = -1
  let value: Buffer = NO_DICTIONARY
  return frames.map((frame) => {
    if (framePart(frame) !== part) {
      part = framePart(frame)
      value = openFramesValue(summary, header, part, values.get(part))
    }
    const base = dataAt[firstFrame(part)] ?? 0
    return {
      rawLength: (positions[frame + 1] ?? 0) - (positions[frame] ?? 0),
      data: value.subarray((dataAt[frame] ?? 0) - base, (dataAt[frame + 1] ?? 0) - base),
    }
  })
}

function firstFrame(part: number): number {
  return (part - FIRST_FRAMES_PART) * FRAMES_PER_PART
}

/** The frames of a part without their checksum. */
export function openFramesValue(
  summary: BlockSummary,
  { frames }: BlockHeader,
  part: number,
  value: Buffer | undefined,
): Buffer {
  const opened = openBlockValue(summary, part, value).subarray(CHECK_LENGTH)
  const end = Math.min(frames.count, firstFrame(part + 1))
  if (opened.length !== (frames.dataAt[end] ?? 0) - (frames.dataAt[firstFrame(part)] ?? 0)) {
    throw new CorruptRecordError(blockPlace(summary, part), 'it does not have the length that the header says')
  }
  return opened
}

/**
 * That the lines of a whole block are those that the chain was made from.
 *
 * @throws CorruptRecordError
 */
export function verifyChain(
  summary: BlockSummary,
  header: BlockHeader,
  lines: Pick<Lines, 'stream' | 'firstOffset' | 'bytes' | 'starts' | 'payloads'>,
): void {
  let hash = header.previousHash
  let line = 0
  for (const count of header.commits) {
    const commit = {
      stream: lines.stream,
      firstOffset: lines.firstOffset + line,
      bytes: lines.bytes,
      starts: lines.starts.subarray(line, line + count + 1),
      payloads: lines.payloads.subarray(line, line + count),
    }
    hash = nextHash(hash, commit)
    line += count
  }
  if (hash.equals(summary.hash)) return
  throw new CorruptRecordError(blockPlace(summary, HEADER_PART), 'its lines do not give its hash')
}

/**
 * Checks everything about a block: all checksums, header against index entry, the chain over the lines, and that columns,
 * positions and index entry are those of the lines. Readers check less, as they go. Who signed it is left to the caller.
 *
 * @param values of all parts, in order
 * @throws CorruptRecordError
 */
export function verifyBlock(summary: BlockSummary, values: readonly (Buffer | undefined)[]): BlockHeader {
  const header = openBlockHeader(summary, values[HEADER_PART])
  const frames = allFrames(header)
  const deflated = deflatedFrames(summary, header, frames, new Map(values.entries()))
  const bytes = inflateFrames(deflated, header.dictionary, blockPlace(summary, FIRST_FRAMES_PART))
  const lines = parseLines(summary.stream, summary.firstOffset, bytes)
  verifyChain(summary, header, lines)
  const place = blockPlace(summary, HEADER_PART)
  const columns = decodeFrameColumns(header, frames, place)
  const same =
    isSame(columns.starts, lines.starts) &&
    isSame(columns.payloads, lines.payloads) &&
    isSame(columns.lamports, lines.lamports) &&
    isSame(columns.timestamps, lines.timestamps)
  if (!same) throw new CorruptRecordError(place, 'its columns are not those of its lines')
  if (!positionBytes(summary, values[POSITIONS_PART]).equals(encodePositions(lines.tags, lines.appIds))) {
    throw new CorruptRecordError(blockPlace(summary, POSITIONS_PART), 'it is not the index of its lines')
  }
  const stored = { ...summary, storedBytes: values.reduce((sum, value) => sum + (value?.length ?? 0), 0) }
  const ranges = rangesOf([lines])
  const isHeaderTrue =
    header.firstLamport === ranges.firstLamport &&
    header.lastLamport === ranges.lastLamport &&
    header.minTimestamp === ranges.minTimestamp &&
    header.maxTimestamp === ranges.maxTimestamp
  if (!isHeaderTrue || !encodeSummary(summarise(header, lines, stored)).equals(encodeSummary(summary))) {
    const index = { stream: summary.stream, offset: summary.firstOffset, part: 'index entry' }
    throw new CorruptRecordError(index, 'it does not describe the lines of its block')
  }
  return header
}

const CHECK_ROOM = Buffer.alloc(CHECK_LENGTH)

function isSame(a: Float64Array | Uint32Array, b: Float64Array | Uint32Array): boolean {
  return a.length === b.length && a.every((value, at) => value === b[at])
}

/** What the owner of some commit parts, which lie side by side, signs when they are a block. */
export function identifyBlock(
  previousHash: Buffer,
  parts: readonly Pick<BlockPart, 'lines' | 'hash'>[],
): BlockIdentity {
  const [first] = parts
  if (first === undefined) throw new RangeError('a block is never empty')
  const commits = parts.map(({ lines }) => lineCount(lines))
  return {
    stream: first.lines.stream,
    firstOffset: first.lines.firstOffset,
    count: commits.reduce((sum, count) => sum + count, 0),
    previousHash,
    hash: parts.at(-1)?.hash ?? previousHash,
    ...rangesOf(parts.map(({ lines }) => lines)),
    commits,
  }
}

function rangesOf(
  pieces: readonly Pick<Lines, 'lamports' | 'timestamps'>[],
): Pick<BlockIdentity, 'firstLamport' | 'lastLamport' | 'minTimestamp' | 'maxTimestamp'> {
  let minTimestamp = Infinity
  let maxTimestamp = -Infinity
  for (const { timestamps } of pieces) {
    for (const timestamp of timestamps) {
      if (timestamp < minTimestamp) minTimestamp = timestamp
      if (timestamp > maxTimestamp) maxTimestamp = timestamp
    }
  }
  return {
    firstLamport: pieces[0]?.lamports[0] ?? 0,
    lastLamport: pieces.at(-1)?.lamports.at(-1) ?? 0,
    minTimestamp,
    maxTimestamp,
  }
}

function eventsOf(identity: BlockIdentity): Omit<EventsSummary, 'payloadBytes' | 'storedBytes' | 'tags' | 'apps'> {
  const { stream, firstOffset, count, firstLamport, lastLamport, minTimestamp, maxTimestamp } = identity
  return { stream, firstOffset, count, firstLamport, lastLamport, minTimestamp, maxTimestamp }
}

/** Most events share their tag set with others, so sets are told apart first. */
function distinctTags(sets: readonly TagSet[]): ReadonlySet<string> {
  const tags = new Set<string>()
  for (const set of new Set(sets)) for (const tag of set) tags.add(tag)
  return tags
}

/** Takes over the frames of the tail that are big enough and deflates what lies between them. */
async function frameBlock(
  lines: Lines,
  { parts, dictionary: known }: BlockRequest,
): Promise<{ readonly frames: readonly Frame[]; readonly dictionary: Buffer }> {
  const plan = planFrames(lines, parts)
  const dictionary = plan.some((piece) => 'data' in piece) ? known : freshDictionary(lines, plan.length)
  const frames: Frame[] = []
  for (const piece of plan) {
    if ('data' in piece) frames.push(piece)
    else frames.push(await deflateFrameAsync({ lines, range: piece, dictionary, waiting: 'nobody' }))
  }
  return { frames, dictionary }
}

/** A dictionary costs about what it saves in one frame. */
function freshDictionary(lines: Lines, frames: number): Buffer {
  return frames > 1 ? dictionaryOf(lines) : NO_DICTIONARY
}

/** The values of frames, with room for their checksums. */
function groupFrames(frames: readonly Frame[]): Buffer[] {
  const values: Buffer[] = []
  for (let from = 0; from < frames.length; from += FRAMES_PER_PART) {
    const group = frames.slice(from, from + FRAMES_PER_PART)
    values.push(Buffer.concat([CHECK_ROOM, ...group.map(({ data }) => data)]))
  }
  return values
}

function planFrames({ starts }: Lines, parts: readonly BlockPart[]): (Frame | FrameRange)[] {
  const plan: (Frame | FrameRange)[] = []
  let done = 0
  let line = 0
  for (const part of parts) {
    for (const frame of framesOf(part)) {
      if (frame.count >= MIN_REUSED_EVENTS || frame.rawLength >= MIN_REUSED_BYTES) {
        plan.push(...cutFrames(starts, done, line), frame)
        done = line + frame.count
      }
      line += frame.count
    }
    if (framesOf(part).length === 0) line += lineCount(part.lines)
  }
  plan.push(...cutFrames(starts, done, line))
  return plan
}

/** The part's frames if they are exactly its lines. */
function framesOf({ lines, frames }: BlockPart): readonly Frame[] {
  const count = frames.reduce((sum, frame) => sum + frame.count, 0)
  const length = frames.reduce((sum, frame) => sum + frame.rawLength, 0)
  return count === lineCount(lines) && length === lineBytes(lines).length ? frames : []
}

/** Value of the positions with room for its checksum: plain, or deflated behind their length. */
async function deflatePositions(positions: Buffer): Promise<Buffer> {
  const writer = new ByteWriter(64)
  writer.u32(0) // the checksum comes here
  if (positions.length <= MAX_PLAIN_POSITIONS) {
    writer.varint(0)
    writer.bytes(positions)
    return writer.finish()
  }
  writer.varint(positions.length)
  const deflated = await new Promise<Buffer>((resolve, reject) => {
    deflateRaw(positions, { level: 1 }, (error, data) => {
      if (error === null) resolve(data)
      else reject(error)
    })
  })
  writer.bytes(deflated)
  return writer.finish()
}

function positionBytes(summary: BlockSummary, value: Buffer | undefined): Buffer {
  const place = blockPlace(summary, POSITIONS_PART)
  const reader = new ByteReader(openBlockValue(summary, POSITIONS_PART, value), CHECK_LENGTH, place)
  const length = reader.count(MAX_RAW_BYTES)
  const rest = reader.bytes(reader.remaining)
  return length === 0 ? rest : inflateFrames([{ rawLength: length, data: rest }], NO_DICTIONARY, place)
}
