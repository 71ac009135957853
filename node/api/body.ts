import type { IncomingMessage } from 'node:http'
import { AbortedError } from '../../core/index.js'
import { ApiError } from './errors.js'
import type { Lease } from './memory-budget.js'

/** Milliseconds that a whole body may take, however steadily it comes. */
const WHOLE_BODY_MS = 600_000

/** How much a body may hold, and how slowly it may come. */
export interface BodyRules {
  readonly limitBytes: number
  /** Milliseconds that may pass without a byte, while the body is being read. */
  readonly stallMs: number
}

/**
 * Reads the body. It is refused while it comes in: at once when its length is announced. Its bytes are taken from the
 * memory budget; while that is exhausted nothing is read.
 *
 * @throws ApiError 413, 408; AbortedError when the client goes away
 */
export function readBody(request: IncomingMessage, rules: BodyRules, lease: Lease): Promise<Buffer> {
  const announced = request.headers['content-length']
  if (announced !== undefined && Number(announced) > rules.limitBytes) {
    return Promise.reject(tooLarge(announced, rules.limitBytes))
  }
  return new Promise((resolve, reject) => {
    new BodyReader(request, rules, lease, resolve, reject).start()
  })
}

export function tooLarge(size: number | string, limitBytes: number): ApiError {
  return new ApiError('ERR_PAYLOAD_TOO_LARGE', `Payload too large (${String(size)} > ${String(limitBytes)}).`)
}

class BodyReader {
  readonly #request: IncomingMessage
  readonly #rules: BodyRules
  readonly #lease: Lease
  readonly #resolve: (body: Buffer) => void
  readonly #reject: (error: Error) => void
  readonly #chunks: Buffer[] = []
  #bytes = 0
  #waiting = false
  #timer: NodeJS.Timeout | undefined
  readonly #startedMs = performance.now()

  constructor(
    request: IncomingMessage,
    rules: BodyRules,
    lease: Lease,
    resolve: (body: Buffer) => void,
    reject: (error: Error) => void,
  ) {
    this.#request = request
    this.#rules = rules
    this.#lease = lease
    this.#resolve = resolve
    this.#reject = reject
  }

  start(): void {
    this.#request.on('data', this.#take).on('end', this.#finish).on('close', this.#lose).on('error', this.#lose)
  }

  readonly #take = (chunk: Buffer): void => {
    this.#bytes += chunk.length
    if (this.#bytes > this.#rules.limitBytes) {
      this.#fail(tooLarge(this.#bytes, this.#rules.limitBytes))
      return
    }
    if (performance.now() - this.#startedMs > WHOLE_BODY_MS) {
      this.#fail(new ApiError('ERR_REQUEST_TIMEOUT', 'The request did not come in in time.'))
      return
    }
    this.#chunks.push(chunk)
    const granted = this.#lease.grow(chunk.length)
    if (granted !== undefined) void this.#wait(granted)
    else if (this.#timer !== undefined) this.#timer.refresh()
    // Bodies of one chunk, nearly all, need no timer.
    else this.#timer = setTimeout(this.#stall, this.#rules.stallMs).unref()
  }

  async #wait(granted: Promise<void>): Promise<void> {
    this.#waiting = true
    this.#request.pause()
    await granted
    this.#waiting = false
    this.#timer?.refresh()
    this.#request.resume()
  }

  readonly #finish = (): void => {
    this.#stop()
    const [first = Buffer.alloc(0)] = this.#chunks
    this.#resolve(this.#chunks.length <= 1 ? first : Buffer.concat(this.#chunks, this.#bytes))
  }

  readonly #lose = (): void => {
    this.#fail(new AbortedError('the client went away'))
  }

  readonly #stall = (): void => {
    if (this.#waiting) this.#timer?.refresh()
    else this.#fail(new ApiError('ERR_REQUEST_TIMEOUT', 'The request body stopped coming in.'))
  }

  #fail(error: Error): void {
    this.#stop()
    this.#reject(error)
  }

  #stop(): void {
    clearTimeout(this.#timer)
    this.#request.off('data', this.#take).off('end', this.#finish).off('close', this.#lose).off('error', this.#lose)
  }
}
