import type { IncomingMessage } from 'node:http'
import { AbortedError } from '../../core/index.js'
import { ApiError } from './errors.js'

/** Bytes that may wait while those before them are worked on. */
const WINDOW_BYTES = 256 * 1024

/** Takes in a body of any length, as far as somebody asks for it. */
export class Upload {
  readonly #request: IncomingMessage
  readonly #timer: NodeJS.Timeout
  #chunks: Buffer[] = []
  #bytes = 0
  #ended = false
  #error: Error | undefined
  #wake: (() => void) | undefined

  /** @param stallMs milliseconds that may pass without a byte, while bytes are asked for */
  constructor(request: IncomingMessage, stallMs: number) {
    this.#request = request
    this.#timer = setTimeout(this.#stall, stallMs)
    request.on('data', this.#add).on('end', this.#end).on('close', this.#lose).on('error', this.#lose)
  }

  /**
   * Waits for bytes and takes all that are there; `undefined` at the end.
   *
   * @throws ApiError 408; AbortedError when the client goes away; the error of {@link fail}
   */
  async take(): Promise<Buffer | undefined> {
    while (this.#chunks.length === 0 && !this.#ended && this.#error === undefined) {
      this.#timer.refresh()
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    if (this.#error !== undefined) throw this.#error
    if (this.#chunks.length === 0) return undefined
    const [first] = this.#chunks
    const bytes = this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks, this.#bytes)
    this.#chunks = []
    this.#bytes = 0
    this.#request.resume()
    return bytes
  }

  /** Takes no more; who waits for bytes gets the error. */
  fail(error: Error): void {
    this.#error ??= error
    this.#wake?.()
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#request.off('data', this.#add).off('end', this.#end).off('close', this.#lose).off('error', this.#lose)
  }

  readonly #add = (chunk: Buffer): void => {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    if (this.#bytes >= WINDOW_BYTES) this.#request.pause()
    this.#timer.refresh()
    this.#wake?.()
  }

  readonly #end = (): void => {
    this.#ended = true
    this.#wake?.()
  }

  readonly #lose = (): void => {
    if (!this.#ended) this.fail(new AbortedError('the client went away'))
  }

  readonly #stall = (): void => {
    // Bytes are there, and whoever works on those before them has not come to them.
    if (this.#chunks.length > 0) this.#timer.refresh()
    else this.fail(new ApiError('ERR_REQUEST_TIMEOUT', 'The request body stopped coming in.'))
  }
}
