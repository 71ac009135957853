import { setImmediate } from 'node:timers/promises'
import { endOfPiece, offsetMapToJson, type EventBatch, type EventKey, type OffsetMap } from '../../core/index.js'

/** Bytes that are collected before a chunk is handed on. */
const CHUNK_BYTES = 64 * 1024

/** The first chunk goes at once and the next ones grow, since many readers want just the first event and then cancel. */
const FIRST_CHUNK_BYTES = 1

const GROWTH = 16

/** The line that ends the past: everything up to these offsets has been answered. */
export function offsetsLine(offsets: OffsetMap): string {
  return `{"type":"offsets","offsets":${JSON.stringify(offsetMapToJson(offsets))}}\n`
}

export function diagnosticLine(severity: 'warning' | 'error', message: string): string {
  return `${JSON.stringify({ type: 'diagnostic', severity, message })}\n`
}

export function timeTravelLine({ lamport, stream, offset }: EventKey): string {
  return `${JSON.stringify({ type: 'timeTravel', newStart: { lamport, stream, offset } })}\n`
}

/** What an answer keeps up to date while it goes on. */
export interface Progress {
  rows: number
}

/** Counts events on their way. */
export async function* counted(batches: AsyncIterable<EventBatch>, progress: Progress): AsyncGenerator<EventBatch> {
  for await (const batch of batches) {
    progress.rows += batch.length
    yield batch
  }
}

/** The lines of batches as chunks: big slices as they are, small ones joined. */
export async function* batchChunks(batches: AsyncIterable<EventBatch>): AsyncGenerator<Buffer> {
  let parts: Buffer[] = []
  let size = 0
  let enough = FIRST_CHUNK_BYTES
  for await (const batch of batches) {
    for (const slice of batch.slices()) {
      parts.push(slice)
      size += slice.length
      if (size >= enough) {
        yield joined(parts, size)
        parts = []
        size = 0
        enough = Math.min(enough * GROWTH, CHUNK_BYTES)
      }
    }
  }
  if (size > 0) yield joined(parts, size)
}

function joined(parts: readonly Buffer[], size: number): Buffer {
  const [first] = parts
  return parts.length === 1 && first !== undefined ? first : Buffer.concat(parts, size)
}

/** Characters of a line above which it is encoded in pieces, and of such a piece. */
const PIECE = 1024 * 1024

/** A long line in pieces, so that others have their turn while it is encoded; a short one is not for this. */
export async function* longLine(line: string): AsyncGenerator<Buffer> {
  let at = 0
  while (at < line.length) {
    const end = endOfPiece(line, at + PIECE)
    yield Buffer.from(line.slice(at, end))
    at = end
    await setImmediate()
  }
}

export function isLongLine(line: string): boolean {
  return line.length > PIECE
}

/** Collects the text of lines until there is enough for a chunk. */
export class LineCollector {
  #text = ''
  #enough = FIRST_CHUNK_BYTES

  /** @returns a chunk when enough is there */
  add(line: string): Buffer | undefined {
    this.#text += line
    return this.#text.length >= this.#enough ? this.take() : undefined
  }

  /** What is there, if anything. */
  take(): Buffer | undefined {
    if (this.#text === '') return undefined
    const chunk = Buffer.from(this.#text)
    this.#text = ''
    this.#enough = Math.min(this.#enough * GROWTH, CHUNK_BYTES)
    return chunk
  }
}
