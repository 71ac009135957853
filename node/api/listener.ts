import { createServer, STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { AddressInUseError } from './address-in-use.js'
import { WIRE_FORMS } from './errors.js'
import type { Http2Sessions } from './http2.js'
import type { HttpHandler, Transport } from './http-handler.js'
import type { ListenAddress } from './options.js'
import type { SocketUpgrade } from './socket-upgrade.js'
import { listenOnUnixSocket } from './unix-socket.js'

/** Bound against clients that send slowly: milliseconds for the head. Whoever reads a body sees to that. */
const HEAD_TIMEOUT_MS = 20_000

/** Idle connections are kept longer than clients keep theirs, so that no request meets a closing one. */
const IDLE_TIMEOUT_MS = 75_000

/** Bytes of a request's head; tokens may stand in its first line. */
const MAX_HEAD_BYTES = 32 * 1024

/** Connections at which new ones are refused, per address. */
const MAX_CONNECTIONS = 16_384

/** Makes the server of one address; it does not listen yet. */
export function newServer(
  http: HttpHandler,
  sockets: SocketUpgrade,
  sessions: Http2Sessions,
  transport: Transport,
): Server {
  const server = createServer({
    headersTimeout: HEAD_TIMEOUT_MS,
    requestTimeout: 0,
    keepAliveTimeout: IDLE_TIMEOUT_MS,
    connectionsCheckingInterval: 5_000,
    maxHeaderSize: MAX_HEAD_BYTES,
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
    noDelay: true,
    // Without it Node answers itself, without an error body.
    requireHostHeader: false,
  })
  server.maxConnections = MAX_CONNECTIONS
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    http.handle(request, response, transport)
  }
  // Expectations that we do not know may be passed over (RFC 9110, section 10.1.1).
  server.on('request', handle).on('checkExpectation', handle)
  server.on('upgrade', (request: Parameters<SocketUpgrade['handle']>[0], connection: Duplex, head: Buffer) => {
    sockets.handle(request, connection, head, transport)
  })
  server.on('clientError', answerClientError)
  sessions.attach(server)
  return server
}

/** @throws AddressInUseError */
export async function listenOnTcp(server: Server, { host, port }: ListenAddress): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port }, () => {
      server.off('error', reject)
      resolve()
    })
  }).catch((error: unknown) => {
    throw new AddressInUseError(`cannot listen on ${host}:${String(port)}: ${reasonOf(error)}`, { cause: error })
  })
  const { address, family, port: bound } = server.address() as AddressInfo
  return `${family === 'IPv6' ? `[${address}]` : address}:${String(bound)}`
}

/** @throws AddressInUseError */
export async function listenOnPath(server: Server, path: string): Promise<string> {
  await listenOnUnixSocket(server, path).catch((error: unknown) => {
    if (error instanceof AddressInUseError) throw error
    throw new AddressInUseError(`cannot listen at ${path}: ${reasonOf(error)}`, { cause: error })
  })
  return path
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** What HTTP itself refuses gets an error body like everything else. */
function answerClientError(
  error: NodeJS.ErrnoException,
  connection: Duplex & Partial<Pick<Socket, 'bytesWritten'>>,
): void {
  connection.on('error', () => {
    connection.destroy()
  })
  if (error.code === 'ECONNRESET' || !connection.writable) {
    connection.destroy()
    return
  }
  const { status, code } = WIRE_FORMS[codeOf(error)]
  const prefix = WIRE_FORMS[codeOf(error)].prefix ?? ''
  const body = JSON.stringify({ code, message: `${prefix}${TEXTS[codeOf(error)]}` })
  connection.end(
    `HTTP/1.1 ${String(status)} ${STATUS_CODES[status] ?? ''}\r\nconnection: close\r\ncontent-type: application/json\r\n` +
      `content-length: ${String(Buffer.byteLength(body))}\r\n\r\n${body}`,
  )
}

type ClientErrorCode = keyof typeof TEXTS

const TEXTS = {
  ERR_BAD_REQUEST: 'The request is not HTTP.',
  ERR_HEADERS_TOO_LARGE: 'The head of the request is too large.',
  ERR_REQUEST_TIMEOUT: 'The request did not come in in time.',
} as const

function codeOf(error: NodeJS.ErrnoException): ClientErrorCode {
  if (error.code === 'HPE_HEADER_OVERFLOW') return 'ERR_HEADERS_TOO_LARGE'
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'ERR_REQUEST_TIMEOUT'
  return 'ERR_BAD_REQUEST'
}
