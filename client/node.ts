import { Agent, request as sendHttp, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { NodeUnreachableError } from './errors.js'
import { socketUrl } from './platform-socket.js'
import { SocketChannel } from './socket-channel.js'
import type { Transport, TransportOptions, TransportRequest, TransportResponse } from './transport.js'
import { abortedError } from './unless-aborted.js'

/** Where a node is: the path of its Unix socket, or its URL. */
export type NodeAddress = { readonly socketPath: string } | { readonly url: string }

/** Carries requests over connections that are kept open, for Node. */
export function nodeTransport(address: NodeAddress, options: TransportOptions = {}): Transport {
  const agent = new Agent({ keepAlive: true })
  const target = 'url' in address ? address.url.replace(/\/+$/, '') : address.socketPath
  const place = 'url' in address ? placeOf(address.url) : { socketPath: address.socketPath }
  return {
    target,
    request: (request) => send(request, { ...place, agent }, target),
    ...(options.webSocket === true ? { openChannel: (token: string) => openChannel(address, target, token) } : {}),
    close: () => {
      agent.destroy()
    },
  }
}

async function openChannel(address: NodeAddress, target: string, token: string): Promise<SocketChannel> {
  // Loaded only here: most callers need no WebSocket.
  const { WebSocket } = await import('ws')
  const isUrl = 'url' in address
  const socket = new WebSocket(socketUrl(isUrl ? target : 'http://localhost', token), {
    perMessageDeflate: false,
    ...(isUrl ? {} : { createConnection: () => connect(address.socketPath) }),
  })
  return SocketChannel.open(socket, target)
}

interface Place {
  readonly agent: Agent
  readonly socketPath?: string
  readonly host?: string
  readonly port?: string
}

function placeOf(url: string): { readonly host: string; readonly port: string } {
  const { hostname, port, protocol } = new URL(url)
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' && protocol === 'http:' ? '80' : port }
}

function send(request: TransportRequest, place: Place, target: string): Promise<TransportResponse> {
  const { method, path, headers, body, signal } = request
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
    const outgoing = sendHttp({ ...place, method, path, headers: { ...headers, ...length } })
    // Not as an option of the request, which would end the connection with an error: in the moment in which a connection
    // goes back to the agent nobody listens for one, and it would end the process.
    const leave = (): void => {
      outgoing.destroy()
    }
    if (signal?.aborted) leave()
    signal?.addEventListener('abort', leave, { once: true })
    outgoing.once('close', () => {
      signal?.removeEventListener('abort', leave)
    })
    outgoing.once('response', (response) => {
      resolve({ status: response.statusCode ?? 0, body: chunksOf(response, target, signal) })
    })
    outgoing.on('error', (error) => {
      reject(toError(error, target, signal))
    })
    outgoing.end(body)
  })
}

async function* chunksOf(
  response: IncomingMessage,
  target: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of response) yield chunk as Uint8Array
  } catch (error) {
    throw toError(error, target, signal)
  }
}

function toError(error: unknown, target: string, signal: AbortSignal | undefined): Error {
  if (signal?.aborted) return abortedError(error)
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const [reason, neverSent] = REASONS[code] ?? [error instanceof Error ? error.message : String(error), false]
  return new NodeUnreachableError(`no answer from the node at ${target}: ${reason}`, { cause: error, neverSent })
}

const REASONS: Readonly<Record<string, readonly [reason: string, neverSent: boolean]>> = {
  ENOENT: ['there is no such socket; is the node running?', true],
  ECONNREFUSED: ['nothing listens there; is the node running?', true],
  EACCES: ['permission denied', true],
  ENOTFOUND: ['no such host', true],
  ECONNRESET: ['the connection broke off', false],
  ENOTSOCK: ['this is no socket', true],
}
