import { constants, deflateRaw, deflateRawSync, inflateRaw, inflateRawSync, type ZlibOptions } from 'node:zlib'
import { CorruptRecordError, type RecordPlace } from './corrupt-record.js'
import type { Lines } from './lines.js'
import { borrow, giveBack } from './scratch.js'

/** Events of a frame at most: the fewer, the cheaper is a single event; the more, the better the lines compress. */
export const MAX_FRAME_EVENTS = 32

/** Bytes of a frame's lines at most, except for a single event that is bigger; with its dictionary it fits {@link SMALL}. */
export const MAX_FRAME_BYTES = 15 * 1024

/** Bytes of a dictionary at most: a few lines show the codec what all lines of a stream have in common. */
const MAX_DICTIONARY_BYTES = 1024

/** For frames that are deflated with nothing known before. */
export const NO_DICTIONARY = Buffer.alloc(0)

/**
 * Neighbouring lines, deflated (raw) as if the dictionary preceded them, ended by a full flush instead of a final block:
 * a frame inflates alone, and so do any frames in a single call when the dictionary is put before each.
 */
export interface Frame {
  /** Events. */
  readonly count: number
  /** Bytes of the lines. */
  readonly rawLength: number
  readonly data: Buffer
}

/** What is needed to inflate a frame. */
export type DeflatedFrame = Pick<Frame, 'rawLength' | 'data'>

/** What of some lines makes one frame: [from, to) by line number. */
export interface FrameRange {
  readonly from: number
  readonly to: number
}

/** Ends a concatenation of frames: an empty final block. */
const FINAL_BLOCK = Buffer.from([0x03, 0x00])

/** Inflated bytes of frames read at once at most: a block of the biggest event with its header has room. */
export const MAX_RAW_BYTES = 256 * 1024 * 1024

/** Lines from which inflating moves to zlib's threads, bytes: 0.15 ms of work, and what a search finds in a block stays below. */
const MIN_ASYNC_INFLATED_BYTES = 192 * 1024

/** Cuts lines into frames of about equal size within the limits. */
export function cutFrames(starts: Uint32Array, from: number, to: number): FrameRange[] {
  const total = (starts[to] ?? 0) - (starts[from] ?? 0)
  const frames = Math.max(1, Math.ceil((to - from) / MAX_FRAME_EVENTS), Math.ceil(total / MAX_FRAME_BYTES))
  const wantedEvents = Math.ceil((to - from) / frames)
  const ranges: FrameRange[] = []
  let begin = from
  for (let line = from + 1; line <= to; line++) {
    const size = (starts[line] ?? 0) - (starts[begin] ?? 0)
    if (line > begin + 1 && (line - begin > wantedEvents || size > MAX_FRAME_BYTES)) {
      ranges.push({ from: begin, to: line - 1 })
      begin = line - 1
    }
  }
  if (begin < to) ranges.push({ from: begin, to })
  return ranges
}

/**
 * Levels of zlib, by who waits. Measured with lines of 378 bytes in frames of 32 behind a dictionary, µs and bytes per
 * event: level 1 1.2 and 51, level 2 1.3 and 49; level 6 takes twice the time for 41.5. What is deflated harder also inflates faster.
 */
const LEVELS = {
  /** A publisher, and the event loop with it. */
  publisher: 1,
  nobody: 6,
} as const

/** Settings of zlib for what fits a window of 16 KiB: less memory to set up for each frame. */
const SMALL = { windowBits: 14, memLevel: 7 }
const SMALL_BYTES = 16 * 1024

/** Who waits for a frame. */
export type FrameWaiter = keyof typeof LEVELS

/** What {@link deflateFrame} takes. */
export interface FrameRequest {
  readonly lines: Pick<Lines, 'bytes' | 'starts'>
  readonly range: FrameRange
  readonly dictionary: Buffer
  readonly waiting: FrameWaiter
}

/** The beginning of some lines, copied: a dictionary for them and for those that follow. */
export function dictionaryOf(lines: Pick<Lines, 'bytes' | 'starts'>): Buffer {
  const { bytes, starts } = lines
  const [start = 0] = starts
  return Buffer.from(bytes.subarray(start, Math.min(starts.at(-1) ?? 0, start + MAX_DICTIONARY_BYTES)))
}

/**
 * Deflates on the calling thread: for frames of usual size, handing over to zlib's threads costs about as much time of
 * the event loop as it saves.
 */
export function deflateFrame(request: FrameRequest): Frame {
  const raw = rawFrame(request)
  return {
    count: request.range.to - request.range.from,
    rawLength: raw.length,
    data: deflateRawSync(raw, deflateOptions(raw.length, request)),
  }
}

/** Deflates in zlib's thread pool. */
export function deflateFrameAsync(request: FrameRequest): Promise<Frame> {
  const raw = rawFrame(request)
  const { from, to } = request.range
  return new Promise((resolve, reject) => {
    deflateRaw(raw, deflateOptions(raw.length, request), (error, data) => {
      if (error === null) resolve({ count: to - from, rawLength: raw.length, data })
      else reject(error)
    })
  })
}

/**
 * The lines of frames as one buffer.
 *
 * @throws CorruptRecordError
 */
export function inflateFrames(frames: readonly DeflatedFrame[], dictionary: Buffer, place: RecordPlace): Buffer {
  const length = inflatedLength(frames, dictionary, place)
  const joined = joinFrames(frames, dictionary)
  let inflated: Buffer
  try {
    inflated = inflateRawSync(joined.bytes, inflateOptions(length))
  } catch (error) {
    throw notInflating(place, error)
  } finally {
    giveBack(joined.buffer)
  }
  checkLength(inflated, length, place)
  return withoutDictionaries(inflated, frames, dictionary.length)
}

/** As {@link inflateFrames}; many lines in zlib's thread pool, where few would lose more than they gain. */
export async function inflateFramesAsync(
  frames: readonly DeflatedFrame[],
  dictionary: Buffer,
  place: RecordPlace,
): Promise<Buffer> {
  const length = inflatedLength(frames, dictionary, place)
  if (length < MIN_ASYNC_INFLATED_BYTES) return inflateFrames(frames, dictionary, place)
  const joined = joinFrames(frames, dictionary)
  const inflated = await new Promise<Buffer>((resolve, reject) => {
    inflateRaw(joined.bytes, inflateOptions(length), (error, data) => {
      giveBack(joined.buffer)
      if (error === null) resolve(data)
      else reject(notInflating(place, error))
    })
  })
  checkLength(inflated, length, place)
  return withoutDictionaries(inflated, frames, dictionary.length)
}

/** Bytes that come out of {@link joinFrames}. */
function inflatedLength(frames: readonly DeflatedFrame[], dictionary: Buffer, place: RecordPlace): number {
  let length = 0
  for (const { rawLength } of frames) length += dictionary.length + rawLength
  if (length > MAX_RAW_BYTES) throw new CorruptRecordError(place, 'a length is too large')
  return length
}

/** What zlib takes in one call, in a borrowed buffer: before each frame the dictionary, so that the window holds it. */
function joinFrames(frames: readonly DeflatedFrame[], dictionary: Buffer): { bytes: Buffer; buffer: Buffer } {
  const before = dictionary.length === 0 ? dictionary : storedBlock(dictionary)
  const length = frames.reduce((sum, { data }) => sum + before.length + data.length, FINAL_BLOCK.length)
  const buffer = borrow(length)
  let at = 0
  for (const { data } of frames) {
    buffer.set(before, at)
    buffer.set(data, at + before.length)
    at += before.length + data.length
  }
  buffer.set(FINAL_BLOCK, at)
  return { bytes: buffer.subarray(0, length), buffer }
}

/** Bytes as a block of deflate that is not the last one and holds them as they are. */
function storedBlock(bytes: Buffer): Buffer {
  const block = Buffer.allocUnsafe(5 + bytes.length)
  block[0] = 0
  block.writeUInt16LE(bytes.length, 1)
  block.writeUInt16LE(bytes.length ^ 0xffff, 3)
  bytes.copy(block, 5)
  return block
}

/** Moves the lines together, over the dictionaries that came out between them. */
function withoutDictionaries(inflated: Buffer, frames: readonly DeflatedFrame[], dictionaryLength: number): Buffer {
  if (dictionaryLength === 0) return inflated
  if (frames.length === 1) return inflated.subarray(dictionaryLength)
  let from = 0
  let to = 0
  for (const { rawLength } of frames) {
    from += dictionaryLength
    inflated.copyWithin(to, from, from + rawLength)
    from += rawLength
    to += rawLength
  }
  return inflated.subarray(0, to)
}

function inflateOptions(length: number): { chunkSize: number; maxOutputLength: number } {
  // One byte more than needed: with none left over, zlib would ask for another chunk to find the end.
  return { chunkSize: Math.max(64, length + 1), maxOutputLength: length + 1 }
}

function notInflating(place: RecordPlace, cause: unknown): CorruptRecordError {
  return new CorruptRecordError(place, 'it does not inflate', { cause })
}

function checkLength(inflated: Buffer, length: number, place: RecordPlace): void {
  if (inflated.length !== length) throw new CorruptRecordError(place, 'it does not have the expected length')
}

function rawFrame({ lines: { bytes, starts }, range }: FrameRequest): Buffer {
  return bytes.subarray(starts[range.from], starts[range.to])
}

function deflateOptions(rawLength: number, { dictionary, waiting }: FrameRequest): ZlibOptions {
  return {
    level: LEVELS[waiting],
    ...(rawLength + dictionary.length <= SMALL_BYTES && SMALL),
    finishFlush: constants.Z_FULL_FLUSH,
    // Lines shrink to about a seventh: a quarter of room takes one chunk nearly always.
    chunkSize: Math.max(256, rawLength >> 2),
    ...(dictionary.length > 0 && { dictionary }),
  }
}
