import type { IncomingMessage, ServerResponse } from 'node:http'
import { isInternal, toErrorReply } from './errors.js'
import type { Lease } from './memory-budget.js'
import type { TokenHolder } from './tokens.js'

/** Bytes of a refused request that are still read, so that the client gets to see the answer. */
const DRAINED_BYTES = 32 * 1024 * 1024

/** How long that may take. */
const DRAIN_MS = 60_000

const UPGRADE_REQUIRED = 426
const UPGRADE_HINT: readonly string[] = ['upgrade', 'websocket', 'sec-websocket-version', '13']

const UNAVAILABLE = 503
/** Seconds: a restart, or the time in which the store looks whether the disk takes writes again. */
const RETRY_HINT: readonly string[] = ['retry-after', '1']

const NO_HEADERS: readonly string[] = []

/** One request over HTTP and its answer. */
export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Path without query; a trailing slash is gone. */
  readonly path: string
  readonly query: string
  /** Headers that every answer to this request carries, names and values in turn. */
  readonly common: readonly string[]
  /** Who asks; `undefined` where the route does not ask for a token. */
  readonly holder: TokenHolder | undefined
  /** Whether it came over the Unix socket, whose mode decides who may, or with an operator's token. */
  readonly isOperator: boolean
  readonly lease: Lease
}

/** Headers that let a page of this origin read the answer. */
export function corsHeaders(origin: string | undefined): readonly string[] {
  return origin === undefined ? NO_HEADERS : ['access-control-allow-origin', origin, 'vary', 'origin']
}

export function sendText(
  response: ServerResponse,
  status: number,
  contentType: string,
  body: string | Uint8Array,
  headers: readonly string[] = NO_HEADERS,
): void {
  if (response.headersSent || response.destroyed) return
  const bytes = typeof body === 'string' ? Buffer.byteLength(body) : body.length
  response.writeHead(status, ['content-type', contentType, 'content-length', String(bytes), ...headers])
  response.end(body)
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: string,
  headers: readonly string[] = NO_HEADERS,
): void {
  sendText(response, status, 'application/json', body, headers)
}

/** Answers with the error, or cuts the connection when an answer has begun. Says whether it belongs in the log. */
export function sendError(
  request: IncomingMessage,
  response: ServerResponse,
  error: unknown,
  headers: readonly string[],
): boolean {
  if (response.headersSent) {
    response.destroy()
  } else {
    const { status, code, message, details } = toErrorReply(error)
    sendJson(response, status, JSON.stringify({ code, message, ...details }), [...headers, ...hintsOf(status, request)])
    discardRest(request)
  }
  return isInternal(error)
}

/** Headers that say what the client can do about an error. */
function hintsOf(status: number, { httpVersionMajor }: IncomingMessage): readonly string[] {
  if (status === UNAVAILABLE) return RETRY_HINT
  // HTTP/2 knows no upgrades and forbids their headers.
  return status === UPGRADE_REQUIRED && httpVersionMajor === 1 ? UPGRADE_HINT : NO_HEADERS
}

/** Throws away what is left of the body; cuts the connection when that is too much, or takes too long. */
export function discardRest(request: IncomingMessage): void {
  if (request.complete) return
  const timer = setTimeout(() => request.destroy(), DRAIN_MS).unref()
  request.on('close', () => {
    clearTimeout(timer)
  })
  let bytes = 0
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > DRAINED_BYTES) request.destroy()
  })
  request.resume()
}
