import { ServerResponse, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { Socket } from 'node:net'
import { WebSocketServer } from 'ws'
import { authoriseSocket } from './authorise.js'
import type { ApiContext } from './context.js'
import { ApiError } from './errors.js'
import { corsHeaders, sendError } from './exchange.js'
import { checkHost, isAdmitted, splitUrl, type HttpHandler, type Transport } from './http-handler.js'
import { SocketSession } from './socket-session.js'
import type { TokenHolder } from './tokens.js'

const SOCKET_PATH = '/api/v2/events'
const SOCKET_KEY = /^[+/0-9A-Za-z]{22}==$/

/** Methods whose requests have no body that the end of HTTP parsing would cut off. */
const BODILESS = ['GET', 'HEAD', 'DELETE', 'OPTIONS']

/** Turns upgrade requests into WebSocket sessions. */
export class SocketUpgrade {
  readonly #context: ApiContext
  readonly #http: HttpHandler
  readonly #server: WebSocketServer
  readonly #sessions = new Set<SocketSession>()

  constructor(context: ApiContext, http: HttpHandler) {
    this.#context = context
    this.#http = http
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: context.options.limits.messageBytes,
      // The Actyx API knows no sub-protocols: an offered one is not confirmed.
      handleProtocols: () => false,
    })
  }

  /** Never throws: what cannot be upgraded gets a plain answer. */
  handle(request: IncomingMessage, connection: Duplex, head: Buffer, transport: Transport): void {
    connection.on('error', ignore)
    if (!(connection instanceof Socket)) {
      connection.destroy()
      return
    }
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
      this.#answerPlainly(request, connection, transport)
      return
    }
    try {
      const holder = this.#check(request, transport)
      this.#server.handleUpgrade(request, connection, head, (socket) => {
        const session = new SocketSession(socket, connection, holder, this.#context)
        this.#sessions.add(session)
        socket.on('close', () => this.#sessions.delete(session))
        session.start()
      })
    } catch (error) {
      const response = responseOn(request, connection)
      const cors = isAdmitted(this.#context, request, transport) ? corsHeaders(request.headers.origin) : []
      sendError(request, response, error, cors)
    }
  }

  /** Tells every client that the node stops. */
  end(): void {
    for (const session of this.#sessions) session.end()
  }

  terminate(): void {
    for (const session of this.#sessions) session.terminate()
  }

  #check(request: IncomingMessage, transport: Transport): TokenHolder {
    const { headers, method, url = '/' } = request
    if (!isAdmitted(this.#context, request, transport)) {
      throw new ApiError('ERR_FORBIDDEN', 'Requests of this host or origin are refused.')
    }
    checkHost(request)
    const { path, query } = splitUrl(url)
    if (path !== SOCKET_PATH) throw new ApiError('ERR_NOT_FOUND', 'The requested resource could not be found.')
    if (method !== 'GET') throw new ApiError('ERR_METHOD_NOT_ALLOWED', 'Method not supported.')
    if (headers['sec-websocket-version'] !== '13') {
      throw new ApiError('ERR_UPGRADE_REQUIRED', 'This resource is a WebSocket (version 13).')
    }
    const holder = authoriseSocket(this.#context.options.tokens, query)
    if (!SOCKET_KEY.test(headers['sec-websocket-key'] ?? '')) {
      throw new ApiError('ERR_BAD_REQUEST', 'The header Sec-WebSocket-Key is missing or malformed.')
    }
    if (this.#context.closing.aborted) throw new ApiError('ERR_SHUTTING_DOWN', 'the node is stopping')
    return holder
  }

  /** An upgrade to something else, such as HTTP/2, is an offer: it may be passed over. */
  #answerPlainly(request: IncomingMessage, connection: Socket, transport: Transport): void {
    const response = responseOn(request, connection)
    if (BODILESS.includes(request.method ?? '')) this.#http.handle(request, response, transport)
    else sendError(request, response, new ApiError('ERR_BAD_REQUEST', 'Requests with a body cannot be upgraded.'), [])
  }
}

/** A response on a connection that the HTTP server has let go of; the connection ends with it. */
function responseOn(request: IncomingMessage, connection: Socket): ServerResponse {
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(connection)
  response.on('error', ignore).on('finish', () => {
    connection.end()
  })
  return response
}

function ignore(): void {
  // Nothing to do; without a listener the process would end.
}
