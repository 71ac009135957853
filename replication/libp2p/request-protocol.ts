import { setMaxListeners } from 'node:events'
import type { Connection, IncomingStreamData, Stream } from '@libp2p/interface'
import { AbortedError, MillraceError, Turns, type NodeId, type Turn } from '../../core/index.js'
import type { MutableCounters } from '../counters.js'
import { PeerBusyError, PeerFailedError, SwarmClosedError } from '../transport-errors.js'
import { MAX_REQUESTS, MAX_REQUESTS_PER_PEER, type RequestHandler } from '../transport.js'
import { nodeIdOf } from './peer-ids.js'
import { CutOffError, encodeFrame, FrameError, FrameReader, type Frame } from './request-frames.js'

/** A request has to be here in this time, ms. */
const REQUEST_MS = 4_000
/** Until the peer has taken part in opening a stream, ms. */
const OPEN_MS = 10_000
/** Streams that a peer may have open at a time; those above the number of requests are told that we are busy. */
const MAX_STREAMS = 2 * MAX_REQUESTS_PER_PEER
/** Longest text of a failure, bytes. */
const MAX_TEXT_BYTES = 1024

export interface RequestProtocolOptions {
  readonly protocol: string
  readonly maxRequestBytes: number
  readonly maxAnswerBytes: number
  /** Neither side waits longer for the other to send or to read, ms. */
  readonly stallMs: number
  readonly counters: MutableCounters
  /** A peer sent what is no request. */
  readonly onOffence: (peer: NodeId, reason: string) => void
  /** A peer opened a stream and did not send its request. */
  readonly onStall: (peer: NodeId) => void
}

/** Requests over a stream of their own each; the flow control of the streams is that of the answers. */
export class RequestProtocol {
  readonly #options: RequestProtocolOptions
  readonly #closing = new AbortController()
  /** Requests that are being answered, by peer. */
  readonly #answering = new Map<NodeId, number>()
  #total = 0
  /** Large messages of one peer are read one after the other, whatever it was asked. */
  readonly #reading = new Turns()
  handler: RequestHandler | undefined

  constructor(options: RequestProtocolOptions) {
    this.#options = options
    // One listener for each request under way.
    setMaxListeners(0, this.#closing.signal)
  }

  get protocol(): string {
    return this.#options.protocol
  }

  /** What libp2p is to accept. */
  readonly streamLimits = { maxInboundStreams: MAX_STREAMS, maxOutboundStreams: 64 }

  /** Called by libp2p for each stream that a peer opens. */
  readonly accept = ({ stream, connection }: IncomingStreamData): void => {
    const peer = nodeIdOf(connection.remotePeer)
    if (peer === undefined) stream.abort(new FrameError('no node'))
    else void this.#serve(peer, stream)
  }

  close(): void {
    this.#closing.abort(new SwarmClosedError())
  }

  async *request(
    peer: NodeId,
    connection: Connection,
    request: Uint8Array,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const stream = await this.#open(peer, connection, signal)
    const guard = new StreamGuard(stream, this.#options.stallMs)
    const onAbort = (): void => {
      guard.end(new AbortedError('the request was ended'))
    }
    const onClose = (): void => {
      guard.end(new SwarmClosedError())
    }
    signal.addEventListener('abort', onAbort)
    this.#closing.signal.addEventListener('abort', onClose)
    let complete = false
    let turn: Turn | undefined
    const beforeLarge = (): Promise<void> => {
      turn = this.#reading.take(peer)
      return guard.unlessEnded(turn.before)
    }
    try {
      if (signal.aborted) onAbort()
      const sent = stream.sink(keepOpen(encodeFrame('request', request), guard.signal))
      sent.catch((error: unknown) => {
        guard.end(error)
      })
      const reader = new FrameReader(stream.source)
      for (;;) {
        const frame = await reader.next(this.#options.maxAnswerBytes, guard.waiting, beforeLarge)
        turn?.end()
        if (frame?.kind !== 'message') {
          complete = frame !== undefined
          endOfAnswer(peer, frame)
          return
        }
        this.#options.counters.answerBytesReceived += frame.content.length
        yield frame.content
      }
    } catch (error) {
      const cause = guard.cause ?? error
      if (cause instanceof MillraceError) throw cause
      throw new PeerFailedError(peer, whatHappened(cause), cause)
    } finally {
      turn?.end()
      signal.removeEventListener('abort', onAbort)
      this.#closing.signal.removeEventListener('abort', onClose)
      guard.finish(complete)
    }
  }

  async #open(peer: NodeId, connection: Connection, signal: AbortSignal): Promise<Stream> {
    try {
      const timeout = AbortSignal.timeout(OPEN_MS)
      return await connection.newStream(this.#options.protocol, {
        signal: AbortSignal.any([signal, timeout, this.#closing.signal]),
        maxOutboundStreams: this.streamLimits.maxOutboundStreams,
      })
    } catch (error) {
      if (signal.aborted) throw new AbortedError('the request was ended', { cause: error })
      if (this.#closing.signal.aborted) throw new SwarmClosedError()
      throw new PeerFailedError(peer, 'takes no requests', error)
    }
  }

  async #serve(peer: NodeId, stream: Stream): Promise<void> {
    const guard = new StreamGuard(stream, this.#options.stallMs)
    const underWay = this.#answering.get(peer) ?? 0
    const busy = this.handler === undefined || underWay >= MAX_REQUESTS_PER_PEER || this.#total >= MAX_REQUESTS
    const handler = busy ? refuse : this.handler
    if (!busy) {
      this.#answering.set(peer, underWay + 1)
      this.#total++
    }
    const onClose = (): void => {
      guard.end(new SwarmClosedError())
    }
    this.#closing.signal.addEventListener('abort', onClose)
    let asked = false
    try {
      const reader = new FrameReader(stream.source)
      const request = await guard.within(REQUEST_MS, reader.next(this.#options.maxRequestBytes, guard.plain))
      asked = true
      if (request === undefined) throw new CutOffError('it ended before the request')
      if (request.kind !== 'request') throw new FrameError('it sent no request')
      if (!busy) this.#options.counters.requestsAnswered++
      // Nothing more is to come; what comes is the end of the stream, in whatever way.
      void reader
        .next(0, guard.plain)
        .catch(() => undefined)
        .then(() => {
          guard.end(new StreamGoneError('the peer ended the stream'))
        })
      await guard.send(this.#answer(peer, request.content, handler ?? refuse, guard))
    } catch (error) {
      if (error instanceof FrameError) this.#options.onOffence(peer, error.message)
      else if (guard.cause instanceof StallError && !asked) this.#options.onStall(peer)
      guard.end(error)
    } finally {
      this.#closing.signal.removeEventListener('abort', onClose)
      if (!busy) this.#release(peer)
      guard.finish(true)
    }
  }

  #release(peer: NodeId): void {
    this.#total--
    const left = (this.#answering.get(peer) ?? 1) - 1
    if (left > 0) this.#answering.set(peer, left)
    else this.#answering.delete(peer)
  }

  async *#answer(
    peer: NodeId,
    request: Uint8Array,
    handler: RequestHandler,
    guard: StreamGuard,
  ): AsyncGenerator<Uint8Array> {
    const { counters, maxAnswerBytes } = this.#options
    try {
      for await (const message of handler(peer, request, guard.signal)) {
        if (message.length > maxAnswerBytes) throw new FrameError('one of its messages is too large')
        counters.answerBytesSent += message.length
        yield* guard.watched(encodeFrame('message', message))
      }
      yield* encodeFrame('end', new Uint8Array())
    } catch (error) {
      if (error instanceof PeerBusyError) yield* encodeFrame('busy', new Uint8Array())
      else yield* encodeFrame('failed', Buffer.from(ownText(error)).subarray(0, MAX_TEXT_BYTES))
    }
  }
}

/** Ends a stream that stalls, and knows why it ended. */
class StreamGuard {
  readonly #stream: Stream
  readonly #stallMs: number
  readonly #abort = new AbortController()
  cause: unknown

  constructor(stream: Stream, stallMs: number) {
    this.#stream = stream
    this.#stallMs = stallMs
  }

  /** Aborted when the stream ends, in whatever way. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  readonly waiting = <T>(read: Promise<T>): Promise<T> => this.within(this.#stallMs, read)

  readonly plain = <T>(read: Promise<T>): Promise<T> => read

  async within<T>(ms: number, work: Promise<T>): Promise<T> {
    const timer = setTimeout(() => {
      this.end(new StallError())
    }, ms)
    try {
      // Ending the stream ends what is read from it.
      return await work
    } finally {
      clearTimeout(timer)
    }
  }

  /** @throws why the stream ended, when it ends before the work does */
  async unlessEnded(work: Promise<void>): Promise<void> {
    const { signal } = this
    const ended = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => {
        resolve()
      })
    })
    if (!signal.aborted) await Promise.race([work, ended])
    signal.throwIfAborted()
  }

  /** Passes pieces on and ends the stream when the other side does not take them. */
  *watched(pieces: Iterable<Uint8Array>): Generator<Uint8Array> {
    let timer: NodeJS.Timeout | undefined
    try {
      for (const piece of pieces) {
        timer = setTimeout(() => {
          this.end(new StallError())
        }, this.#stallMs)
        yield piece
        clearTimeout(timer)
      }
    } finally {
      clearTimeout(timer)
    }
  }

  /**
   * Sends until all is sent or the stream has ended. libp2p does not always call `return` on what it was given to send
   * when the peer resets the stream, so neither its end nor that of `pieces` is left to it.
   */
  async send(pieces: AsyncGenerator<Uint8Array>): Promise<void> {
    const { signal } = this.#abort
    const ended = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => {
        resolve()
      })
    })
    try {
      if (!signal.aborted) await Promise.race([this.#stream.sink(pieces), ended])
    } finally {
      pieces.return(undefined).catch(() => undefined)
    }
  }

  end(cause: unknown): void {
    if (this.#abort.signal.aborted) return
    this.cause = cause
    this.#abort.abort(cause)
    this.#stream.abort(cause instanceof Error ? cause : new Error('the stream ended', { cause }))
  }

  /** Lets go of the stream. When it is not `complete` it is reset, which ends what the other side does. */
  finish(complete: boolean): void {
    if (!complete) {
      this.end(new StreamGoneError('nobody reads on'))
      return
    }
    this.#abort.abort()
    const { readStatus, writeStatus } = this.#stream
    if (readStatus === 'closed' && (writeStatus === 'done' || writeStatus === 'closed')) return
    this.#stream.close({ signal: AbortSignal.timeout(1_000) }).catch((error: unknown) => {
      this.#stream.abort(error instanceof Error ? error : new Error('the stream did not close'))
    })
  }
}

/** Keeps our side of the stream open for as long as we read: only so the other side hears at once when we stop. */
async function* keepOpen(pieces: Iterable<Uint8Array>, end: AbortSignal): AsyncGenerator<Uint8Array> {
  yield* pieces
  await new Promise((resolve) => {
    if (end.aborted) resolve(undefined)
    else end.addEventListener('abort', resolve)
  })
}

class StreamGoneError extends Error {
  override readonly name = 'StreamGoneError'
}

class StallError extends Error {
  override readonly name = 'StallError'
}

// eslint-disable-next-line require-yield, @typescript-eslint/require-await
async function* refuse(peer: NodeId): AsyncGenerator<Uint8Array> {
  throw new PeerBusyError(peer)
}

function endOfAnswer(peer: NodeId, frame: Frame | undefined): void {
  if (frame?.kind === 'end') return
  if (frame?.kind === 'busy') throw new PeerBusyError(peer)
  if (frame?.kind === 'failed') {
    throw new PeerFailedError(peer, Buffer.from(frame.content.subarray(0, MAX_TEXT_BYTES)).toString())
  }
  throw new PeerFailedError(peer, 'went away in the middle of its answer')
}

function whatHappened(error: unknown): string {
  if (error instanceof StallError) return 'sends nothing more'
  if (error instanceof FrameError) return `answers nonsense: ${error.message}`
  return 'went away in the middle of its answer'
}

/** What a peer may read about a fault of ours: only what was thrown on purpose. */
function ownText(error: unknown): string {
  return `cannot answer: ${error instanceof MillraceError ? error.message : 'a fault'}`
}
