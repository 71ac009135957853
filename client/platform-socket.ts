import { NodeUnreachableError } from './errors.js'
import { SocketChannel, type PlatformSocket } from './socket-channel.js'
import type { Transport } from './transport.js'

type SocketClass = new (url: string) => PlatformSocket

/** Opens channels by the WebSocket of the platform; `undefined` where it has none. @param target URL of the node */
export function platformChannel(target: string): Transport['openChannel'] {
  const { WebSocket } = globalThis as { readonly WebSocket?: SocketClass }
  if (WebSocket === undefined) return undefined
  // Promises of the platform's own errors: the constructor throws where the page may not open it.
  return async (token) => {
    const url = socketUrl(target, token)
    try {
      return await SocketChannel.open(new WebSocket(url), target)
    } catch (cause) {
      if (cause instanceof NodeUnreachableError) throw cause
      throw new NodeUnreachableError(`no WebSocket at ${target}: ${String(cause)}`, { cause, neverSent: true })
    }
  }
}

/** @param base URL of the node, without slash at the end */
export function socketUrl(base: string, token: string): string {
  return `${base.replace(/^http/i, 'ws')}/api/v2/events?${encodeURIComponent(token)}`
}
