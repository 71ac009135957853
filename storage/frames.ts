import { constants, deflateRaw, deflateRawSync, inflateRawSync } from 'node:zlib'
import { CorruptRecordError, type RecordPlace } from './corrupt-record.js'
import type { Lines } from './lines.js'

/** Events of a frame at most: the fewer, the cheaper is a single event; the more, the better the lines compress. */
export const MAX_FRAME_EVENTS = 64

/** Bytes of a frame's lines at most, except for a single event that is bigger. */
export const MAX_FRAME_BYTES = 32 * 1024

/**
 * Neighbouring lines, deflated on their own (raw, level 1), ended by a full flush instead of a final block: a frame
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

/** Deflates on the calling thread. */
export function deflateFrame(lines: Pick<Lines, 'bytes' | 'starts'>, range: FrameRange): Frame {
  const raw = rawFrame(lines, range)
  return { count: range.to - range.from, rawLength: raw.length, data: deflateRawSync(raw, deflateOptions(raw.length)) }
}

/** Deflates in zlib's thread pool. */
export function deflateFrameAsync(lines: Pick<Lines, 'bytes' | 'starts'>, range: FrameRange): Promise<Frame> {
  const raw = rawFrame(lines, range)
  return new Promise((resolve, reject) => {
    deflateRaw(raw, deflateOptions(raw.length), (error, data) => {
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
  if (rawLength > MAX_RAW_BYTES) throw new CorruptRecordError(place, 'a length is too large')
  let raw: Buffer
  try {
    // One byte more than needed: with none left over, zlib would ask for another chunk to find the end.
    raw = inflateRawSync(Buffer.concat([...frames, FINAL_BLOCK]), {
      chunkSize: Math.max(64, rawLength + 1),
      maxOutputLength: rawLength + 1,
    })
  } catch (error) {
    throw new CorruptRecordError(place, 'it does not inflate', { cause: error })
  }
  if (raw.length !== rawLength) throw new CorruptRecordError(place, 'it does not have the expected length')
  return raw
}

function rawFrame({ bytes, starts }: Pick<Lines, 'bytes' | 'starts'>, range: FrameRange): Buffer {
  return bytes.subarray(starts[range.from], starts[range.to])
}

function deflateOptions(rawLength: number): { level: number; finishFlush: number; chunkSize: number } {
  // Lines shrink to about a seventh: a quarter of room takes one chunk nearly always.
  return { level: 1, finishFlush: constants.Z_FULL_FLUSH, chunkSize: Math.max(256, rawLength >> 2) }
}
