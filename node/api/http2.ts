import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer, type Http2Server, type ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import type { HttpHandler, Transport } from './http-handler.js'

/** What a client that knows of HTTP/2 beforehand sends first (RFC 9113, section 3.4). */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

/** Milliseconds until the first bytes must be there. */
const FIRST_BYTES_MS = 20_000

/** Milliseconds without any traffic after which a session is closed; streams send something every 15 s. */
const IDLE_MS = 120_000

/** Requests of one session under way. */
const MAX_STREAMS = 1024

/** HTTP/2 with prior knowledge on the port of HTTP/1: the first bytes of a connection decide. */
export class Http2Sessions {
  readonly #server: Http2Server
  readonly #sessions = new Set<ServerHttp2Session>()
  /** Their connections. A session that has closed only half-closes its own and leaves the rest to the client. */
  readonly #connections = new Set<Socket>()
  /** Connections that have not yet shown what they speak. */
  readonly #undecided = new Set<Socket>()

  constructor(http: HttpHandler, transport: Transport) {
    this.#server = createServer({ settings: { maxConcurrentStreams: MAX_STREAMS, enableConnectProtocol: false } })
    this.#server.on('request', (request, response) => {
      // Node's compatibility layer has the members of HTTP/1 that the handler uses.
      http.handle(request as unknown as IncomingMessage, response as unknown as ServerResponse, transport)
    })
    this.#server.on('session', (session) => {
      this.#sessions.add(session)
      session.setTimeout(IDLE_MS, () => {
        session.close()
      })
      session.on('error', ignore).on('close', () => this.#sessions.delete(session))
    })
    this.#server.on('sessionError', ignore)
  }

  /** Puts itself between the server and its connections. */
  attach(server: Server): void {
    const accept = server.listeners('connection')
    server.removeAllListeners('connection')
    server.on('connection', (connection: Socket) => {
      this.#peek(connection, (isHttp2) => {
        if (isHttp2) this.#take(connection)
        else for (const listener of accept) Reflect.apply(listener, server, [connection])
      })
    })
  }

  /** Stops taking requests; those under way finish. */
  close(): void {
    for (const connection of this.#undecided) connection.destroy()
    for (const session of this.#sessions) session.close()
  }

  terminate(): void {
    for (const session of this.#sessions) session.destroy()
    for (const connection of this.#connections) connection.destroy()
  }

  #take(connection: Socket): void {
    this.#connections.add(connection)
    connection.on('close', () => this.#connections.delete(connection))
    this.#server.emit('connection', connection)
  }

  #peek(connection: Socket, decide: (isHttp2: boolean) => void): void {
    let first: Buffer = Buffer.alloc(0)
    const end = (): void => {
      // Silence, or a beginning without an end.
      connection.destroy()
    }
    const timer = setTimeout(end, FIRST_BYTES_MS)
    const forget = (): void => {
      clearTimeout(timer)
      this.#undecided.delete(connection)
      connection.off('data', look).off('end', end).off('close', forget)
    }
    const look = (chunk: Buffer): void => {
      first = first.length === 0 ? chunk : Buffer.concat([first, chunk])
      const length = Math.min(first.length, PREFACE.length)
      const mayBeHttp2 = first.compare(PREFACE, 0, length, 0, length) === 0
      if (mayBeHttp2 && first.length < PREFACE.length) return
      forget()
      connection.off('error', ignore)
      connection.pause()
      connection.unshift(first)
      decide(mayBeHttp2)
      // HTTP/2 has taken the connection over, HTTP/1 goes on reading it.
      if (!mayBeHttp2) connection.resume()
    }
    this.#undecided.add(connection)
    connection.on('error', ignore).on('close', forget).on('data', look).on('end', end)
  }
}

function ignore(): void {
  // Its `close` event follows; without a listener the process would end.
}
