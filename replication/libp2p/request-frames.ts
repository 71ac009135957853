import { Uint8ArrayList } from 'uint8arraylist'

/** Frames of the request protocol: length of the content (4 bytes, big endian), kind (1 byte), content. */
const HEADER_LENGTH = 5
/** A frame is handed to the stream in pieces, so that none holds up the event loop or the other streams. */
const PIECE_BYTES = 128 * 1024

const KINDS = { message: 0, end: 1, busy: 2, failed: 3, request: 4 } as const

/** Frames beyond this are waited for by {@link FrameReader.next}'s caller, bytes. */
const LARGE_BYTES = 1024 * 1024

/** What a frame is: a message of an answer, its end, the two ways in which it fails, or a request. */
export type FrameKind = keyof typeof KINDS

export interface Frame {
  readonly kind: FrameKind
  readonly content: Uint8Array
}

/** A stream ended where more had to come. A connection that breaks does that too, so it is nobody's offence. */
export class CutOffError extends Error {
  override readonly name = 'CutOffError'
}

/** What came is no frame, or a longer one than it may be. */
export class FrameError extends Error {
  override readonly name = 'FrameError'
}

const NAMES = new Map<number, FrameKind>(Object.entries(KINDS).map(([name, value]) => [value, name as FrameKind]))

/** The pieces of a frame. */
export function* encodeFrame(kind: FrameKind, content: Uint8Array): Generator<Uint8Array> {
  const header = Buffer.alloc(HEADER_LENGTH)
  header.writeUInt32BE(content.length)
  header.writeUInt8(KINDS[kind], 4)
  if (content.length <= PIECE_BYTES) {
    yield Buffer.concat([header, content])
    return
  }
  yield header
  for (let at = 0; at < content.length; at += PIECE_BYTES) yield content.subarray(at, at + PIECE_BYTES)
}

/** Cuts a stream into frames. Memory grows with what has come, not with what a header promises. */
export class FrameReader {
  readonly #source: AsyncIterator<Uint8Array | Uint8ArrayList>
  readonly #buffer = new Uint8ArrayList()

  constructor(source: AsyncIterable<Uint8Array | Uint8ArrayList>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /**
   * @param beforeLarge waited for before a large frame is read
   * @returns `undefined` at the end of the stream
   */
  async next(
    maxBytes: number,
    waiting: <T>(read: Promise<T>) => Promise<T>,
    beforeLarge?: () => Promise<void>,
  ): Promise<Frame | undefined> {
    if (!(await this.#fill(HEADER_LENGTH, waiting))) return undefined
    const header = Buffer.from(this.#buffer.subarray(0, HEADER_LENGTH))
    this.#buffer.consume(HEADER_LENGTH)
    const length = header.readUInt32BE()
    const kind = NAMES.get(header.readUInt8(4))
    if (kind === undefined) throw new FrameError('it sent what is no frame')
    if (length > maxBytes) throw new FrameError(`it sent a frame of ${String(length)} bytes`)
    if (length > LARGE_BYTES) {
      await beforeLarge?.()
      return { kind, content: await this.#large(length, waiting) }
    }
    if (!(await this.#fill(length, waiting))) throw new CutOffError('it ended in the middle of a frame')
    const content = this.#buffer.subarray(0, length)
    this.#buffer.consume(length)
    return { kind, content }
  }

  /** Put together as it comes, so that its pieces are soon forgotten. Memory that nothing was written to takes no room. */
  async #large(length: number, waiting: <T>(read: Promise<T>) => Promise<T>): Promise<Uint8Array> {
    const content = Buffer.allocUnsafeSlow(length)
    for (let at = 0; at < length;) {
      if (!(await this.#fill(1, waiting))) throw new CutOffError('it ended in the middle of a frame')
      const piece = this.#buffer.subarray(0, Math.min(this.#buffer.length, length - at))
      content.set(piece, at)
      at += piece.length
      this.#buffer.consume(piece.length)
    }
    return content
  }

  async #fill(length: number, waiting: <T>(read: Promise<T>) => Promise<T>): Promise<boolean> {
    while (this.#buffer.length < length) {
      const next = await waiting(this.#source.next())
      if (next.done === true) {
        if (this.#buffer.length > 0) throw new CutOffError('it ended in the middle of a frame')
        return false
      }
      this.#buffer.append(next.value)
    }
    return true
  }
}
