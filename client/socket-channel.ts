import type { Publication } from '../core/index.js'
import { NodeUnreachableError } from './errors.js'
import { Inbox } from './inbox.js'
import { parseMessage, type SocketMessage } from './socket-message.js'
import { abortedError } from './unless-aborted.js'
import { refusalOf } from './wire-errors.js'

/** A WebSocket as far as it is needed: that of browsers, of Node from 22 on, and of the package `ws`. */
export interface PlatformSocket {
  send(text: string): void
  close(): void
  /** At once, where the platform can. */
  terminate?(): void
  addEventListener(
    type: 'open' | 'message' | 'close' | 'error',
    listener: (event: { readonly type: string; readonly data?: unknown; readonly message?: string }) => void,
  ): void
}

/** Services whose answers are lines. */
export type StreamService = 'subscribe' | 'subscribe_monotonic'

/** Milliseconds in which a WebSocket must be open. */
const OPEN_MS = 10_000

/** How often a silent node is asked for a sign of life while there are subscriptions, milliseconds. */
const PROBE_MS = 15_000

/** So many times without any message, and the connection counts as broken. */
const MOST_SILENT_PROBES = 3

/** Who waits for messages with one request id. */
interface Receiver {
  /** @returns whether more is wanted */
  next(message: SocketMessage & { readonly type: 'next' }): boolean
  complete(): void
  fail(error: Error): void
}

/** Many requests over one WebSocket. The node stores publishes in the order in which they are sent. */
export class SocketChannel {
  readonly #socket: PlatformSocket
  readonly #target: string
  readonly #probeMs: number
  readonly #receivers = new Map<number, Receiver>()
  #nextId = 0
  #streams = 0
  #probe: ReturnType<typeof setInterval> | undefined
  #silentProbes = 0
  #lost: NodeUnreachableError | undefined
  #onLost: () => void = () => undefined

  private constructor(socket: PlatformSocket, target: string, probeMs: number) {
    this.#socket = socket
    this.#target = target
    this.#probeMs = probeMs
    socket.addEventListener('message', ({ data }) => {
      try {
        if (typeof data === 'string') this.#receive(parseMessage(data))
      } catch (error) {
        this.#lose(`brought what is no message: ${String(error)}`)
      }
    })
    socket.addEventListener('close', () => {
      this.#lose('broke off')
    })
  }

  /** Waits until the WebSocket is open. @throws NodeUnreachableError */
  static open(socket: PlatformSocket, target: string, probeMs = PROBE_MS): Promise<SocketChannel> {
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        clearTimeout(timer)
        reject(new NodeUnreachableError(`no WebSocket at ${target}: ${why}`, { neverSent: true }))
        end(socket)
      }
      const timer = setTimeout(() => {
        fail(`not open after ${String(OPEN_MS)} ms`)
      }, OPEN_MS)
      socket.addEventListener('open', () => {
        clearTimeout(timer)
        resolve(new SocketChannel(socket, target, probeMs))
      })
      socket.addEventListener('error', ({ message }) => {
        fail(message ?? 'refused')
      })
      socket.addEventListener('close', () => {
        fail('closed')
      })
    })
  }

  /** Called once, when the connection is gone. */
  set onLost(action: () => void) {
    this.#onLost = action
    if (this.#lost !== undefined) action()
  }

  /**
   * Publishes events given as JSON texts, in one commit.
   *
   * @throws RequestRefusedError; NodeUnreachableError; AbortedError, then nobody knows whether they were stored
   */
  publish(events: readonly string[], signal: AbortSignal | undefined): Promise<readonly Publication[]> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(abortedError(signal.reason))
        return
      }
      const leave = (): void => {
        this.#receivers.delete(id)
        reject(abortedError(signal?.reason))
      }
      const stay = (): void => {
        signal?.removeEventListener('abort', leave)
      }
      signal?.addEventListener('abort', leave, { once: true })
      const fail = (error: Error): void => {
        stay()
        reject(error)
      }
      const id = this.#ask('publish', `{"data":[${events.join(',')}]}`, {
        next: ({ items }) => {
          stay()
          resolve((JSON.parse(items) as [{ data: Publication[] }])[0].data)
          return true
        },
        complete: () => {
          fail(new NodeUnreachableError(`no answer from ${this.#target}`, { neverSent: false }))
        },
        fail,
      })
    })
  }

  /**
   * The lines of an answer as JSON texts. As a WebSocket cannot be held up for one of many answers, a reader that falls
   * behind is left with what it has, and then told so.
   *
   * @throws RequestRefusedError, NodeUnreachableError, AbortedError, OverrunError
   */
  async *lines(service: StreamService, payload: string, signal: AbortSignal): AsyncGenerator<string> {
    const inbox = new Inbox()
    const id = this.#ask(service, payload, {
      next: ({ items }) => inbox.push(items),
      complete: () => {
        inbox.end()
      },
      fail: (error) => {
        inbox.end(error)
      },
    })
    const leave = (): void => {
      inbox.abandon(abortedError(signal.reason))
    }
    if (signal.aborted) leave()
    else signal.addEventListener('abort', leave, { once: true })
    this.#watch(1)
    try {
      yield* inbox.texts()
    } finally {
      this.#watch(-1)
      signal.removeEventListener('abort', leave)
      this.#drop(id)
    }
  }

  /** Idempotent. What is under way is given up. */
  close(): void {
    this.#lose('was closed')
  }

  #ask(service: string, payload: string, receiver: Receiver): number {
    const id = this.#nextId++
    if (this.#lost === undefined) {
      this.#receivers.set(id, receiver)
      this.#socket.send(`{"type":"request","serviceId":"${service}","requestId":${String(id)},"payload":${payload}}`)
    } else receiver.fail(new NodeUnreachableError(this.#lost.message, { cause: this.#lost, neverSent: true }))
    return id
  }

  #receive(message: SocketMessage): void {
    this.#silentProbes = 0
    const receiver = this.#receivers.get(message.requestId)
    if (receiver === undefined) return
    switch (message.type) {
      case 'next':
        if (!receiver.next(message)) this.#drop(message.requestId)
        return
      case 'complete':
        this.#receivers.delete(message.requestId)
        receiver.complete()
        return
      case 'error':
        this.#receivers.delete(message.requestId)
        receiver.fail(refusalOf(message.kind))
    }
  }

  /** Nothing more is wanted for an id. */
  #drop(id: number): void {
    if (this.#receivers.delete(id)) this.#socket.send(`{"type":"cancel","requestId":${String(id)}}`)
  }

  /** Sees to signs of life while there are streams. */
  #watch(more: 1 | -1): void {
    this.#streams += more
    if (this.#streams === 0 || this.#lost !== undefined) {
      clearInterval(this.#probe)
      this.#probe = undefined
    } else this.#probe ??= setInterval(this.#listen, this.#probeMs)
  }

  readonly #listen = (): void => {
    this.#silentProbes += 1
    if (this.#silentProbes > MOST_SILENT_PROBES) this.#lose('is dead')
    else if (this.#silentProbes > 1) {
      this.#ask('offsets', 'null', { next: () => true, complete: () => undefined, fail: () => undefined })
    }
  }

  #lose(how: string): void {
    if (this.#lost !== undefined) return
    const error = new NodeUnreachableError(`the connection to ${this.#target} ${how}`, { neverSent: false })
    this.#lost = error
    clearInterval(this.#probe)
    const receivers = [...this.#receivers.values()]
    this.#receivers.clear()
    for (const receiver of receivers) receiver.fail(error)
    end(this.#socket)
    this.#onLost()
  }
}

function end(socket: PlatformSocket): void {
  if (socket.terminate === undefined) socket.close()
  else socket.terminate()
}
