import { constants, deflateRaw, deflateRawSync, inflateRaw, inflateRawSync } from 'node:zlib'
import { CorruptRecordError, type RecordPlace } from './corrupt-record.js'
import type { Lines } from './lines.js'

/** Events of a frame at most: the fewer, the cheaper is a single event; the more, the better the lines compress. */
export const MAX_FRAME_EVENTS = 64

/** Bytes of a frame's lines at most, except for a single event that is bigger. */
export const MAX_FRAME_BYTES = 32 * 1024

/**
 * Neighbouring lines, deflated on their own (raw), ended by a full flush instead of a final block: a frame
 * inflates alone, and so do any frames one after the other in a single call.
 */
export interface Frame {
  /** Events. */
  readonly count: number
  /** Bytes of the lines. */
  readonly rawLength: number
  readonly data: Buffer
}

/** What of some lines makes one frame: [from, to) by line number. */
export interface FrameRange {
  readonly from: number
  readonly to: number
}

/** The first part that ends a concatenation of frames: an empty final block. */
const FINAL_BLOCK = Buffer.from([0x03, 0x00])

/** Inflated bytes of frames read at once at most: a block of the biggest event with its header has room. */
export const MAX_RAW_BYTES = 256 * 1024 * 1024

/** Lines from which inflating moves to zlib's threads, bytes: 0.1 ms of work. */
const MIN_ASYNC_INFLATED_BYTES = 128 * 1024

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
 * Levels of zlib, by who waits. Measured with lines of 370 bytes, µs and bytes per event: level 1 1.3 and 57, level 2
 * 1.4 and 55, level 3 1.8 and 53, level 4 1.9 and 52, level 6 3.1 and 47. What is deflated harder also inflates faster.
 */
const LEVELS = {
  /** A publisher, and the event loop with it; at level 5 a publish of a thousand events took a tenth more time in all. */
  publisher: 2,
  nobody: 6,
} as const

/** Who waits for a frame. */
export type FrameWaiter = keyof typeof LEVELS

/**
 * Deflates on the calling thread: for frames of usual size, handing over to zlib's threads costs about as much time of
 * the event loop as it saves.
 */
export function deflateFrame(lines: Pick<Lines, 'bytes' | 'starts'>, range: FrameRange, waiting: FrameWaiter): Frame {
  const raw = rawFrame(lines, range)
  return {
    count: range.to - range.from,
    rawLength: raw.length,
    data: deflateRawSync(raw, deflateOptions(raw.length, LEVELS[waiting])),
  }
}

/** Deflates in zlib's thread pool. */
export function deflateFrameAsync(
  lines: Pick<Lines, 'bytes' | 'starts'>,
  range: FrameRange,
  waiting: FrameWaiter,
): Promise<Frame> {
  const raw = rawFrame(lines, range)
  return new Promise((resolve, reject) => {
    deflateRaw(raw, deflateOptions(raw.length, LEVELS[waiting]), (error, data) => {
      if (error === null) resolve({ count: range.to - range.from, rawLength: raw.length, data })
      else reject(error)
    })
  })
}

/**
 * The lines of neighbouring frames as one buffer.
 *
 * @throws CorruptRecordError
 */
export function inflateFrames(frames: readonly Buffer[], rawLength: number, place: RecordPlace): Buffer {
  checkRawLength(rawLength, place)
  let raw: Buffer
  try {
    raw = inflateRawSync(Buffer.concat([...frames, FINAL_BLOCK]), inflateOptions(rawLength))
  } catch (error) {
    throw notInflating(place, error)
  }
  return checkInflated(raw, rawLength, place)
}

/** As {@link inflateFrames}; large ones in zlib's thread pool, where small ones would lose more than they gain. */
export async function inflateFramesAsync(
  frames: readonly Buffer[],
  rawLength: number,
  place: RecordPlace,
): Promise<Buffer> {
  if (rawLength < MIN_ASYNC_INFLATED_BYTES) return inflateFrames(frames, rawLength, place)
  checkRawLength(rawLength, place)
  const raw = await new Promise<Buffer>((resolve, reject) => {
    inflateRaw(Buffer.concat([...frames, FINAL_BLOCK]), inflateOptions(rawLength), (error, inflated) => {
      if (error === null) resolve(inflated)
      else reject(notInflating(place, error))
    })
  })
  return checkInflated(raw, rawLength, place)
}

function inflateOptions(rawLength: number): { chunkSize: number; maxOutputLength: number } {
  // One byte more than needed: with none left over, zlib would ask for another chunk to find the end.
  return { chunkSize: Math.max(64, rawLength + 1), maxOutputLength: rawLength + 1 }
}

function checkRawLength(rawLength: number, place: RecordPlace): void {
  if (rawLength > MAX_RAW_BYTES) throw new CorruptRecordError(place, 'a length is too large')
}

function notInflating(place: RecordPlace, cause: unknown): CorruptRecordError {
  return new CorruptRecordError(place, 'it does not inflate', { cause })
}

function checkInflated(raw: Buffer, rawLength: number, place: RecordPlace): Buffer {
  if (raw.length !== rawLength) throw new CorruptRecordError(place, 'it does not have the expected length')
  return raw
}

function rawFrame({ bytes, starts }: Pick<Lines, 'bytes' | 'starts'>, range: FrameRange): Buffer {
  return bytes.subarray(starts[range.from], starts[range.to])
}

function deflateOptions(rawLength: number, level: number): { level: number; finishFlush: number; chunkSize: number } {
  // Lines shrink to about a seventh: a quarter of room takes one chunk nearly always.
  return { level, finishFlush: constants.Z_FULL_FLUSH, chunkSize: Math.max(256, rawLength >> 2) }
}
