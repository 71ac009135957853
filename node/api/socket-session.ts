import type { Socket } from 'node:net'
import type { RawData, WebSocket } from 'ws'
import { JsonError, JsonScanner, type NewEvent } from '../../core/index.js'
import type { Answer, RequestContext } from '../events/event-service.js'
import type { StateService } from '../state/state-service.js'
import type { ApiContext } from './context.js'
import { ApiError, isInternal, toErrorKind, type ErrorKind } from './errors.js'
import { parseMonotonicRequest, parseQueryRequest, parseSubscribeRequest } from './event-requests.js'
import { renderOffsets } from './event-routes.js'
import type { Lease } from './memory-budget.js'
import {
  completeMessage,
  nextMessage,
  nextMessages,
  nextPrefix,
  parseClientFrame,
  type ClientFrame,
  type FramePayload,
} from './socket-frames.js'
import { parseWatchRequest, watchLines } from './state-watch.js'
import { TurnTaker } from './turn-taker.js'
import type { TokenHolder } from './tokens.js'

/** Bytes waiting to be sent at which the streams of a connection wait, and nothing more is read from it. */
const HIGH_WATER_BYTES = 1024 * 1024

/** Publishes of one connection under way at which nothing more is read from it. */
const MAX_PUBLISHES = 1024

/** Bytes of their frames, likewise. */
const MAX_PUBLISH_BYTES = 32 * 1024 * 1024

/** Bytes of an unfinished message that a connection may hold without asking the shared budget. */
const FREE_MESSAGE_BYTES = 256 * 1024

/** Requests of one connection under way, subscriptions included; beyond it they are refused. */
const MAX_REQUESTS = 8192

/** The text on which the Actyx SDK tries again by itself. */
const OVERLOADED = 'Channel towards event store is overloaded.'

/** Why a reader is cut. Not the text above: a subscription that the SDK restarts by itself would repeat events. */
const TOO_SLOW = 'Nothing was read for too long.'

/** Those of the Actyx API, which clients are told. */
const ENDPOINTS = ['offsets', 'publish', 'query', 'subscribe', 'subscribe_monotonic']

/** What that API has not: the changes of the state. */
const STATE_WATCH = 'state_watch'

/** Close codes of RFC 6455: the node stops; the client should come back later. */
const GOING_AWAY = 1001
const TRY_AGAIN_LATER = 1013

type RequestFrame = Extract<ClientFrame, { type: 'request' }>

/** One request under way. */
interface Running {
  readonly requestId: number
  readonly gone: AbortController
}

/** The event services over one WebSocket. Requests run side by side; publishes are handed on in the order they came. */
export class SocketSession {
  readonly #socket: WebSocket
  readonly #connection: Socket
  readonly #holder: TokenHolder
  readonly #context: ApiContext
  readonly #running = new Map<number, Running>()
  readonly #lease: Lease
  readonly #writers: (() => void)[] = []
  #publishes = 0
  #publishBytes = 0
  /** Bytes since the last whole message. */
  #incoming = 0
  #waitsForMemory = false
  #isGathering = false
  #stall: NodeJS.Timeout | undefined
  #closed = false

  /** @param connection the TCP or Unix connection below the WebSocket */
  constructor(socket: WebSocket, connection: Socket, holder: TokenHolder, context: ApiContext) {
    this.#socket = socket
    this.#connection = connection
    this.#holder = holder
    this.#context = context
    this.#lease = context.budget.lease()
  }

  start(): void {
    this.#context.counters.socketsOpen += 1
    this.#socket.on('message', this.#receive).on('close', this.#close).on('error', this.#fail)
    this.#connection.on('data', this.#measure).on('drain', this.#drained)
  }

  /** Ends all requests with an error and says goodbye: the node stops. */
  end(): void {
    this.#cut(GOING_AWAY, 'the node is stopping', new ApiError('ERR_SHUTTING_DOWN', ''))
  }

  terminate(): void {
    this.#socket.terminate()
  }

  readonly #receive = (data: RawData, isBinary: boolean): void => {
    this.#context.counters.socketMessages += 1
    this.#incoming = 0
    this.#lease.release()
    if (this.#closed) return
    const frame = isBinary || !Buffer.isBuffer(data) ? undefined : this.#parse(data)
    if (frame === undefined || !Buffer.isBuffer(data)) this.#fail()
    else if (frame.type === 'cancel') this.#drop(frame.requestId)
    else this.#request(frame, data)
  }

  #parse(data: Buffer): ClientFrame | undefined {
    try {
      return parseClientFrame(data, this.#readEvents)
    } catch (error) {
      if (error instanceof JsonError) return undefined
      throw error
    }
  }

  readonly #readEvents = (scanner: JsonScanner): readonly NewEvent[] => this.#context.options.events.readEvents(scanner)

  /** Counts the bytes of a message that is still coming in; from some size on the shared budget is asked. */
  readonly #measure = (chunk: Buffer): void => {
    this.#incoming += chunk.length
    if (this.#incoming <= FREE_MESSAGE_BYTES) return
    const granted = this.#lease.grow(chunk.length)
    if (granted !== undefined) void this.#awaitMemory(granted)
  }

  async #awaitMemory(granted: Promise<void>): Promise<void> {
    this.#waitsForMemory = true
    this.#pace()
    await granted
    this.#waitsForMemory = false
    this.#pace()
  }

  /** An unusable frame or a broken connection: all requests go, and the connection closes without a code. */
  readonly #fail = (): void => {
    if (this.#closed) return
    this.#dropAll()
    this.#socket.close()
    // A paused connection would not see the client's answer.
    this.#socket.resume()
  }

  readonly #close = (): void => {
    this.#context.counters.socketsOpen -= 1
    this.#closed = true
    this.#dropAll()
    this.#lease.release()
    this.#drained()
    this.#connection.off('data', this.#measure).off('drain', this.#drained)
  }

  #dropAll(): void {
    this.#closed = true
    for (const running of [...this.#running.values()]) this.#forget(running)
    this.#wakeWriters()
  }

  #drop(requestId: number): void {
    const running = this.#running.get(requestId)
    if (running === undefined) return
    this.#forget(running)
    this.#wakeWriters()
  }

  #forget(running: Running): void {
    this.#running.delete(running.requestId)
    this.#context.counters.socketRequestsOpen -= 1
    running.gone.abort()
  }

  #request(frame: RequestFrame, data: Buffer): void {
    const { requestId, serviceId } = frame
    this.#drop(requestId)
    if (!ENDPOINTS.includes(serviceId) && !(serviceId === STATE_WATCH && this.#context.options.state !== undefined)) {
      this.#sendError(requestId, { type: 'unknownEndpoint', endpoint: serviceId, valid_endpoints: ENDPOINTS })
      return
    }
    if (this.#running.size >= MAX_REQUESTS) {
      this.#sendError(requestId, { type: 'serviceError', value: OVERLOADED })
      this.#send(completeMessage(requestId))
      return
    }
    const running: Running = { requestId, gone: new AbortController() }
    this.#running.set(requestId, running)
    this.#context.counters.socketRequestsOpen += 1
    void this.#run(running, frame, data)
  }

  /** Never rejects. Up to the first wait it runs at once, so that publishes keep their order. */
  async #run(running: Running, frame: RequestFrame, data: Buffer): Promise<void> {
    const { requestId } = running
    const { state } = this.#context.options
    try {
      if (frame.serviceId === 'publish') await this.#publish(running, frame, data)
      else if (frame.serviceId === 'offsets') this.#offsets(frame, data)
      else if (frame.serviceId === STATE_WATCH && state !== undefined) {
        await this.#stream(running, this.#watch(running, frame, data, state))
      } else await this.#stream(running, await this.#ask(running, frame, data))
    } catch (error) {
      if (!this.#isRunning(running)) return
      if (isInternal(error)) this.#context.options.logger.error({ err: error }, 'a WebSocket request failed')
      this.#sendError(requestId, toErrorKind(error))
    }
    if (!this.#isRunning(running)) return
    this.#send(completeMessage(requestId))
    this.#drop(requestId)
  }

  async #publish(running: Running, { payload }: RequestFrame, data: Buffer): Promise<void> {
    const { events: service } = this.#context.options
    const events = payload.kind === 'events' ? payload.events : service.readEvents(scannerOf(payload, data))
    this.#publishes += 1
    this.#publishBytes += data.length
    this.#pace()
    try {
      const reply = await service.publishEvents(events, this.#holder.appId)
      if (this.#isRunning(running)) this.#send(nextMessage(running.requestId, reply))
    } finally {
      this.#publishes -= 1
      this.#publishBytes -= data.length
      this.#pace()
    }
  }

  #offsets({ requestId, payload }: RequestFrame, data: Buffer): void {
    const { at, end } = scannerOf(payload, data)
    if (data.toString('latin1', at, Math.min(end, at + 5)) !== 'null') {
      throw new JsonError('invalid type: expected unit', data, at)
    }
    this.#send(nextMessage(requestId, renderOffsets(this.#context)))
  }

  /** What a watch refuses comes with its first item. */
  #watch({ gone }: Running, { payload }: RequestFrame, data: Buffer, state: StateService): AsyncIterable<Uint8Array> {
    const { at: start, end } = scannerOf(payload, data)
    const { prefix, from } = parseWatchRequest(data, start, end)
    const { mode, appId } = this.#holder
    return watchLines(state.as(mode === 'operator' ? undefined : appId).watch(prefix, from, gone.signal))
  }

  #ask({ gone }: Running, { serviceId, payload }: RequestFrame, data: Buffer): Promise<Answer> {
    const { events } = this.#context.options
    const { at: start, end } = scannerOf(payload, data)
    const context: RequestContext = { appId: this.#holder.appId, signal: gone.signal }
    switch (serviceId) {
      case 'query':
        return events.query(parseQueryRequest(data, start, end), context)
      case 'subscribe':
        return events.subscribe(parseSubscribeRequest(data, start, end), context)
      default:
        return events.subscribeMonotonic(parseMonotonicRequest(data, start, end), context)
    }
  }

  async #stream(running: Running, answer: AsyncIterable<Uint8Array>): Promise<void> {
    const prefix = nextPrefix(running.requestId)
    const turns = new TurnTaker()
    for await (const chunk of answer) {
      for (const message of nextMessages(prefix, chunk)) {
        if (!this.#isRunning(running)) return
        this.#send(message)
        while (this.#isFull() && this.#isRunning(running)) await this.#room()
        await turns.after(message.length)
      }
    }
  }

  #isRunning(running: Running): boolean {
    return this.#running.get(running.requestId) === running
  }

  #sendError(requestId: number, kind: ErrorKind): void {
    this.#send(JSON.stringify({ type: 'error', requestId, kind }))
  }

  #send(message: string | Buffer): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return
    this.#gather()
    this.#socket.send(message, { binary: false })
    if (this.#isFull()) this.#pace()
  }

  /** What is sent from here on goes out in one write when all that is under way has been done: a reply with its end. */
  #gather(): void {
    if (this.#isGathering) return
    this.#isGathering = true
    this.#connection.cork()
    process.nextTick(() => {
      this.#isGathering = false
      this.#connection.uncork()
    })
  }

  #isFull(): boolean {
    return this.#connection.writableLength > HIGH_WATER_BYTES
  }

  /** Resolves when the client has taken what was sent or a request is over: look again. */
  #room(): Promise<void> {
    if (this.#connection.destroyed) return Promise.resolve()
    return new Promise((resolve) => {
      this.#writers.push(resolve)
    })
  }

  readonly #drained = (): void => {
    clearInterval(this.#stall)
    this.#stall = undefined
    this.#pace()
    this.#wakeWriters()
  }

  #wakeWriters(): void {
    for (const wake of this.#writers.splice(0)) wake()
  }

  /** Reads from the client only while there is room for what it asks and for the answers. */
  #pace(): void {
    const isFull = this.#isFull()
    if (isFull && this.#stall === undefined && !this.#closed) this.#watchReader()
    const isBusy =
      isFull || this.#waitsForMemory || this.#publishes >= MAX_PUBLISHES || this.#publishBytes >= MAX_PUBLISH_BYTES
    if (this.#closed) return
    if (isBusy) this.#socket.pause()
    else if (this.#socket.isPaused) this.#socket.resume()
  }

  #watchReader(): void {
    let taken = this.#taken()
    this.#stall = setInterval(() => {
      const now = this.#taken()
      if (now === taken) {
        this.#context.counters.readersCut += 1
        this.#context.options.logger.warn({ appId: this.#holder.appId }, 'a reader that takes nothing was cut')
        this.#cut(TRY_AGAIN_LATER, TOO_SLOW, new ApiError('ERR_SERVICE_OVERLOADED', TOO_SLOW))
      }
      taken = now
    }, this.#context.timers.stallMs)
  }

  /** Bytes that the kernel has taken of the connection. */
  #taken(): number {
    return this.#connection.bytesWritten - this.#connection.writableLength
  }

  #cut(code: number, reason: string, error: ApiError): void {
    clearInterval(this.#stall)
    if (this.#closed) return
    for (const { requestId } of this.#running.values()) {
      this.#sendError(requestId, toErrorKind(error))
      this.#send(completeMessage(requestId))
    }
    this.#dropAll()
    this.#socket.close(code, reason)
    this.#socket.resume()
  }
}

/** Stands at the payload that has still to be read. @throws the error of a refused one */
function scannerOf(payload: FramePayload, data: Buffer): JsonScanner {
  if (payload.kind === 'refused') throw payload.error
  return payload.kind === 'text' ? new JsonScanner(data, payload.start, payload.end) : new JsonScanner(data)
}
