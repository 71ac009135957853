import { AbortedError, MillraceError, type NodeId } from '../../core/index.js'
import { PeerBusyError, PeerFailedError } from '../transport-errors.js'
import { MAX_ANSWER_BYTES, type RequestHandler } from '../transport.js'
import type { VirtualTime } from './virtual-time.js'
import { Wakeup } from './wakeup.js'

/** Answer bytes on their way to a reader who has not taken them, at most (plus one message). */
const WINDOW_BYTES = 256 * 1024
/** Neither side waits longer for the other, ms. */
const STALL_MS = 30_000

/** How an answer ends. */
export type AnswerEnd =
  { readonly kind: 'end' } | { readonly kind: 'busy' } | { readonly kind: 'failed'; readonly text: string }

/** The asking side of one request. */
export class Asking {
  readonly #peer: NodeId
  readonly #wakeup: Wakeup
  readonly #queue: Uint8Array[] = []
  #end: AnswerEnd | undefined

  constructor(peer: NodeId, time: VirtualTime) {
    this.#peer = peer
    this.#wakeup = new Wakeup(time)
  }

  get peer(): NodeId {
    return this.#peer
  }

  take(message: Uint8Array): void {
    this.#queue.push(message)
    this.#wakeup.wake()
  }

  finish(end: AnswerEnd): void {
    this.#end ??= end
    this.#wakeup.wake()
  }

  /** @param taken told about each message that the reader takes, so that the other side may send more */
  async *read(signal: AbortSignal, taken: (bytes: number) => void): AsyncGenerator<Uint8Array> {
    signal.addEventListener('abort', this.#wakeup.wake)
    try {
      for (;;) {
        if (signal.aborted) throw new AbortedError('the request was ended')
        const message = this.#queue.shift()
        if (message !== undefined) {
          taken(message.length)
          yield message
        } else if (this.#end !== undefined) {
          if (this.#end.kind === 'busy') throw new PeerBusyError(this.#peer)
          if (this.#end.kind === 'failed') throw new PeerFailedError(this.#peer, this.#end.text)
          return
        } else if (!(await this.#wakeup.wait(STALL_MS))) throw new PeerFailedError(this.#peer, 'sends nothing more')
      }
    } finally {
      signal.removeEventListener('abort', this.#wakeup.wake)
    }
  }
}

/** The answering side of one request. */
export class Answering {
  readonly #abort = new AbortController()
  readonly #wakeup: Wakeup
  #inFlight = 0

  constructor(time: VirtualTime) {
    this.#wakeup = new Wakeup(time)
  }

  credit(bytes: number): void {
    this.#inFlight -= bytes
    this.#wakeup.wake()
  }

  cancel(): void {
    this.#abort.abort(new AbortedError('the peer went away'))
    this.#wakeup.wake()
  }

  async run(handler: RequestHandler, peer: NodeId, request: Uint8Array, send: Send): Promise<AnswerEnd> {
    const { signal } = this.#abort
    try {
      for await (const message of handler(peer, request, signal)) {
        if (message.length > MAX_ANSWER_BYTES) return { kind: 'failed', text: 'has an answer that is too large' }
        while (this.#inFlight > WINDOW_BYTES && !signal.aborted) {
          if (!(await this.#wakeup.wait(STALL_MS))) this.cancel()
        }
        if (signal.aborted) break
        this.#inFlight += message.length
        send(message)
      }
      return { kind: 'end' }
    } catch (error) {
      return { kind: 'failed', text: `cannot answer: ${error instanceof MillraceError ? error.message : 'a fault'}` }
    } finally {
      this.#abort.abort()
    }
  }
}

type Send = (message: Uint8Array) => void
