import type { SocketChannel } from './socket-channel.js'

/** What is done with a resource. */
export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

/** A request to the node, whatever carries it. */
export interface TransportRequest {
  readonly method: Method
  /** Beginning with `/`. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array<ArrayBuffer>
  readonly signal?: AbortSignal | undefined
}

/** The head of an answer and its body, still arriving. */
export interface TransportResponse {
  readonly status: number
  /** Chunks as they arrive. Not reading is flow control; ending early closes the connection. */
  readonly body: AsyncIterable<Uint8Array>
}

/** Carries requests to one node. */
export interface Transport {
  /** For messages, such as `http://127.0.0.1:4454`. */
  readonly target: string
  /** @throws NodeUnreachableError, also from `body` when the connection breaks off; or AbortedError */
  request(request: TransportRequest): Promise<TransportResponse>
  /** Opens a WebSocket for publishes and subscriptions; without it they go over HTTP. @throws NodeUnreachableError */
  readonly openChannel?: (token: string) => Promise<SocketChannel>
  close(): void
}

/** How a node is talked to. */
export interface TransportOptions {
  /** Publishes and subscriptions share one WebSocket instead of taking a connection each. By default they do not. */
  readonly webSocket?: boolean
}
