import type { RawData, WebSocket } from 'ws'
import { NodeUnreachableError, RequestRefusedError } from './errors.js'

interface Waiting {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** How the node begins its messages; the rest is looked at only in errors. */
const HEAD = /^\{"type":"(next|complete|error)","requestId":([0-9]+)/

/**
 * Publishes over one WebSocket. Many requests may be under way at a time; the node stores them in the order in which they
 * are sent.
 */
export class PublishChannel {
  readonly #socket: WebSocket
  readonly #waiting = new Map<number, Waiting>()
  #nextId = 0
  #lost: NodeUnreachableError | undefined

  private constructor(socket: WebSocket, target: string) {
    this.#socket = socket
    socket.on('message', this.#receive)
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.#lose(new NodeUnreachableError(`the connection to ${target} broke off`, { neverSent: false }))
    })
  }

  /** Waits until the WebSocket is open. @throws NodeUnreachableError */
  static open(socket: WebSocket, target: string): Promise<PublishChannel> {
    return new Promise((resolve, reject) => {
      socket.once('open', () => {
        resolve(new PublishChannel(socket, target))
      })
      socket.once('error', (cause) => {
        reject(new NodeUnreachableError(`no WebSocket at ${target}: ${cause.message}`, { cause, neverSent: true }))
      })
    })
  }

  /**
   * Publishes events given as JSON texts of `{"tags":[…],"payload":…}`, in one commit.
   *
   * @throws RequestRefusedError; NodeUnreachableError, then nobody knows whether they were stored
   */
  publish(events: readonly string[]): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#lost !== undefined) {
        reject(new NodeUnreachableError(this.#lost.message, { neverSent: true }))
        return
      }
      const id = this.#nextId++
      this.#waiting.set(id, { resolve, reject })
      const head = `{"type":"request","serviceId":"publish","requestId":${String(id)},"payload":{"data":[`
      this.#socket.send(`${head}${events.join(',')}]}}`)
    })
  }

  /** Idempotent. What is under way is given up. */
  close(): void {
    this.#socket.terminate()
  }

  readonly #receive = (data: RawData): void => {
    const text = Buffer.isBuffer(data) ? data.toString() : ''
    const [, type, id = ''] = HEAD.exec(text) ?? []
    const waiting = this.#waiting.get(Number(id))
    if (waiting === undefined || type === 'complete') return
    this.#waiting.delete(Number(id))
    if (type === 'next') waiting.resolve()
    else waiting.reject(refusalOf(text))
  }

  #lose(error: NodeUnreachableError): void {
    this.#lost = error
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}

/** The status is as near as a WebSocket tells. */
function refusalOf(text: string): RequestRefusedError {
  const { kind } = JSON.parse(text) as {
    readonly kind: { readonly type: string; readonly message?: string; readonly value?: string }
  }
  const [status, code] = kind.type === 'badRequest' ? [400, 'ERR_BAD_REQUEST'] : [503, 'ERR_SERVICE_OVERLOADED']
  return new RequestRefusedError(status, code, kind.message ?? kind.value ?? kind.type)
}
