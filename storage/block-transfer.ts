import { randomBytes } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { inflateRawSync } from 'node:zlib'
import { parseStreamId, StreamIdError, type StreamId } from '../core/index.js'
import { framePart, HEADER_PART, identifyBlock, openBlockHeader, openFramesValue } from './block.js'
import {
  allFrames,
  blockSigningBytes,
  decodeBlockHeader,
  decodeBlockPlace,
  type BlockHeader,
  type FrameTable,
} from './block-header.js'
import type { BlockSummary } from './block-summary.js'
import { ByteReader } from './byte-reader.js'
import { ByteWriter } from './byte-writer.js'
import { CorruptRecordError } from './corrupt-record.js'
import { parseForeignLines } from './foreign-lines.js'
import { chainParts, FOREIGN_LIMITS, MAX_FOREIGN_BYTES, type ForeignPart, type ForeignParts } from './foreign-parts.js'
import type { SignedStatement } from './fork-proof.js'
import type { Frame } from './frames.js'
import { verifySignature } from './identity.js'
import { lineCount, payloadBytes, type Lines } from './lines.js'
import { malformed, type Malformed } from './replica-outcome.js'
import { lamportBound } from './signed-head.js'

const FORMAT = 1

/** What a frame may be at most, unless it is a single event: readers inflate whole frames. Ours are far smaller. */
const MAX_FRAME_EVENTS = 256
const MAX_FRAME_BYTES = 256 * 1024

/** Frames are checked one by one; other work gets its turn after this long, milliseconds. */
const MAX_TURN_MS = 8

/**
 * A sealed block in the form that travels: header with the owner's signature, and the frames as they are stored. The
 * index is left out, as whoever gets it makes its own.
 *
 * @param values of the header and all frames, by part
 * @throws CorruptRecordError
 */
export function encodeTransfer(summary: BlockSummary, values: ReadonlyMap<number, Buffer | undefined>): Buffer {
  const headerValue = values.get(HEADER_PART)
  const header = openBlockHeader(summary, headerValue)
  const parts = [...new Set(allFrames(header).map(framePart))]
  const frames = parts.map((part) => openFramesValue(summary, header, part, values.get(part)))
  const length = frames.reduce((sum, { length }) => sum + length, headerValue?.length ?? 0)
  const writer = new ByteWriter(length + 16)
  writer.u8(FORMAT)
  writer.sized(headerValue ?? Buffer.alloc(0))
  for (const bytes of frames) writer.bytes(bytes)
  return writer.finish()
}

/** The header of a transfer and its frames; nothing is checked but that it can be read. */
export interface DecodedTransfer {
  readonly header: BlockHeader
  readonly frames: readonly Frame[]
}

/** @returns `undefined` for bytes that are no transfer */
export function decodeTransfer(bytes: Uint8Array): DecodedTransfer | undefined {
  const reader = readerOf(bytes)
  try {
    if (reader.u8() !== FORMAT) return undefined
    const header = decodeBlockHeader(reader.sized(), reader.place)
    parseStreamId(header.stream)
    const { count, lines, positions, dataAt } = header.frames
    const data = reader.bytes(dataAt[count] ?? 0)
    reader.end()
    const frames = allFrames(header).map((frame) => ({
      count: (lines[frame + 1] ?? 0) - (lines[frame] ?? 0),
      rawLength: (positions[frame + 1] ?? 0) - (positions[frame] ?? 0),
      data: data.subarray(dataAt[frame], dataAt[frame + 1]),
    }))
    return { header, frames }
  } catch (error) {
    if (error instanceof CorruptRecordError || error instanceof StreamIdError) return undefined
    throw error
  }
}

/** Which block a transfer claims to be. */
export interface BlockPlace {
  readonly stream: StreamId
  readonly firstOffset: number
  readonly nextOffset: number
}

/** Which block a transfer claims to be, from its first bytes alone; `undefined` when these are none of a transfer. */
export function placeOfBlock(bytes: Uint8Array): BlockPlace | undefined {
  try {
    const reader = readerOf(bytes)
    if (reader.u8() !== FORMAT) return undefined
    const { stream, firstOffset, count } = decodeBlockPlace(reader.sized(), reader.place)
    parseStreamId(stream)
    return { stream, firstOffset, nextOffset: firstOffset + count }
  } catch (error) {
    if (error instanceof CorruptRecordError || error instanceof StreamIdError) return undefined
    throw error
  }
}

function readerOf(bytes: Uint8Array): ByteReader {
  const place = { stream: '', offset: 0, part: 'block transfer' }
  return new ByteReader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), 0, place)
}

/** A block from elsewhere that was checked: signature, chain, every line and frame. Made by {@link verifyTransfer} alone. */
export class VerifiedBlock implements ForeignParts {
  readonly stream: string
  readonly from: number
  readonly previousHash: Buffer
  readonly blockOffset: number
  readonly parts: readonly ForeignPart[]
  readonly blockSignature: Buffer
  readonly head = undefined
  readonly dictionary: Buffer
  readonly frames: readonly Frame[]
  readonly lines: Lines
  /** What was signed, and how. */
  readonly statement: SignedStatement

  private constructor(
    { header, frames }: DecodedTransfer,
    lines: Lines,
    parts: readonly ForeignPart[],
    signed: Buffer,
  ) {
    this.stream = header.stream
    this.from = header.firstOffset
    this.previousHash = header.previousHash
    this.blockOffset = header.firstOffset
    this.parts = parts
    this.blockSignature = header.signature
    this.dictionary = header.dictionary
    this.frames = frames
    this.lines = lines
    this.statement = { bytes: signed, signature: header.signature }
  }

  static async verify(topic: string, transfer: DecodedTransfer, nowMicros: number): Promise<VerifiedBlock | Malformed> {
    const { header } = transfer
    const fault = faultOfForm(transfer) ?? faultOfSignature(topic, header)
    if (fault !== undefined) return malformed(fault)
    try {
      const { stream, firstOffset, previousHash, commits } = header
      const bytes = await inflateChecked(transfer)
      const request = { stream, firstOffset, bytes, maxLamport: lamportBound(nowMicros) }
      const lines = await parseForeignLines(request)
      if (lineCount(lines) !== header.count) return malformed('it does not hold as many lines as events')
      if (!endWithLines(header.frames, lines)) return malformed('its frames do not end where lines do')
      if (header.count > 1 && payloadBytes(lines) > FOREIGN_LIMITS.maxBytes) return malformed('it is too large')
      const parts = chainParts(lines, previousHash, commits)
      // All that its owner signed follows from lines and commits, so it must come out the same.
      const signed = blockSigningBytes(topic, identifyBlock(previousHash, parts))
      if (!signed.equals(blockSigningBytes(topic, header))) return malformed('its lines are not those that were signed')
      return new VerifiedBlock(transfer, lines, parts, signed)
    } catch (error) {
      if (error instanceof CorruptRecordError) return malformed(error.reason)
      throw error
    }
  }
}

/** @param nowMicros wall clock, µs since 1970: bounds lamports */
export function verifyTransfer(
  topic: string,
  transfer: DecodedTransfer,
  nowMicros: number,
): Promise<VerifiedBlock | Malformed> {
  return VerifiedBlock.verify(topic, transfer, nowMicros)
}

/** Whether the owner signed what a header says of its block; of the lines nothing is known yet. */
export function faultOfSignature(topic: string, header: BlockHeader): string | undefined {
  const { nodeId } = parseStreamId(header.stream)
  const right = verifySignature(nodeId, blockSigningBytes(topic, header), header.signature)
  return right ? undefined : 'its signature is wrong'
}

function faultOfForm({ header, frames }: DecodedTransfer): string | undefined {
  if (header.count > FOREIGN_LIMITS.maxEvents) return 'it has too many events'
  if ((header.frames.positions.at(-1) ?? 0) > MAX_FOREIGN_BYTES) return 'it is too large'
  const large = frames.some(
    ({ count, rawLength }) => count > 1 && (count > MAX_FRAME_EVENTS || rawLength > MAX_FRAME_BYTES),
  )
  return large ? 'its frames are too large' : undefined
}

/** Whether each frame holds the very lines that it is said to hold. */
function endWithLines({ lines, positions }: FrameTable, { starts }: Lines): boolean {
  return lines.every((line, frame) => starts[line] === positions[frame])
}

/**
 * The lines of all frames. Frames are stored as they came, and readers inflate any choice of them in one call; so each
 * must inflate alone, from the dictionary and nothing else, and end with an empty block that is not the last one.
 *
 * @throws CorruptRecordError
 */
async function inflateChecked({ header, frames }: DecodedTransfer): Promise<Buffer> {
  const { dictionary, stream, firstOffset } = header
  const place = { stream, offset: firstOffset, part: 'block transfer' }
  const inflater = new FrameInflater(dictionary)
  const bytes = Buffer.allocUnsafeSlow(header.frames.positions.at(-1) ?? 0)
  let at = 0
  let began = performance.now()
  for (const frame of frames) {
    if (!inflater.inflateInto(frame, bytes, at)) throw new CorruptRecordError(place, 'a frame does not inflate alone')
    at += frame.rawLength
    if (performance.now() - began < MAX_TURN_MS) continue
    await nextTurn()
    began = performance.now()
  }
  return bytes
}

/** How the empty block that ends a frame gives its length, 0: the bits that announce it come before. */
const EMPTY_BLOCK_LENGTH = Buffer.of(0x00, 0x00, 0xff, 0xff)
const MARK_LENGTH = 16
const EMPTY_FINAL_BLOCK = Buffer.of(0x03, 0x00)

/**
 * Inflates frames one by one. That the last block of a frame is really the empty one shows when its length is replaced
 * and a mark put in, which nobody can foresee: it comes out as it is only if the length was read as one. Anything else,
 * like a frame whose last code goes on into what follows, would spoil its neighbours when they are read together.
 */
class FrameInflater {
  readonly #dictionary: Buffer
  readonly #mark = randomBytes(MARK_LENGTH)
  readonly #ending: Buffer

  constructor(dictionary: Buffer) {
    this.#dictionary = dictionary
    const markLength = Buffer.of(MARK_LENGTH, 0x00, MARK_LENGTH ^ 0xff, 0xff)
    this.#ending = Buffer.concat([markLength, this.#mark, EMPTY_FINAL_BLOCK])
  }

  /** @returns whether the frame is in order and its lines were put there */
  inflateInto({ data, rawLength }: Frame, bytes: Buffer, at: number): boolean {
    const content = data.length - EMPTY_BLOCK_LENGTH.length
    if (content < 0 || !data.subarray(content).equals(EMPTY_BLOCK_LENGTH)) return false
    const input = Buffer.concat([data.subarray(0, content), this.#ending])
    const length = rawLength + MARK_LENGTH
    const inflated = inflateWhole(input, length, this.#dictionary)
    if (inflated?.length !== length || this.#mark.compare(inflated, rawLength) !== 0) return false
    inflated.copy(bytes, at, 0, rawLength)
    return true
  }
}

/** @returns `undefined` when the input does not inflate, to more bytes than it should, or ends before its end */
function inflateWhole(input: Buffer, length: number, dictionary: Buffer): Buffer | undefined {
  const options = {
    maxOutputLength: length + 1,
    chunkSize: Math.max(64, length + 1),
    info: true,
    ...(dictionary.length > 0 && { dictionary }),
  }
  try {
    const { buffer, engine } = inflateRawSync(input, options) as unknown as InflateInfo
    return engine.bytesWritten === input.length ? buffer : undefined
  } catch {
    return undefined
  }
}

/** What Node's zlib returns with `info`. */
interface InflateInfo {
  readonly buffer: Buffer
  readonly engine: { readonly bytesWritten: number }
}
