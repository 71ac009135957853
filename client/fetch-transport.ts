import { NodeUnreachableError } from './errors.js'
import { platformChannel } from './platform-socket.js'
import type { Transport, TransportOptions } from './transport.js'
import { abortedError } from './unless-aborted.js'

/**
 * Carries requests by the `fetch` that browsers and Node have. With `webSocket`, publishes and subscriptions go over the
 * `WebSocket` of the platform; where it has none (Node before 22), over `fetch` as well.
 *
 * @param url that of the node: `http://127.0.0.1:4454`
 */
export function fetchTransport(url: string, options: TransportOptions = {}): Transport {
  const target = url.replace(/\/+$/, '')
  const openChannel = options.webSocket === true ? platformChannel(target) : undefined
  return {
    target,
    async request({ method, path, headers, body, signal }) {
      const init = { method, headers: { ...headers }, signal: signal ?? null, body: body ?? null }
      const response = await fetch(target + path, init).catch((error: unknown) => {
        throw toError(target, error, signal)
      })
      return { status: response.status, body: chunksOf(response.body, target, signal) }
    },
    ...(openChannel === undefined ? {} : { openChannel }),
    close: () => undefined,
  }
}

async function* chunksOf(
  body: ReadableStream<Uint8Array> | null,
  target: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const reader = body?.getReader()
  if (reader === undefined) return
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        throw toError(target, error, signal)
      })
      if (done) return
      yield value
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

/** `fetch` does not tell whether the request was sent. */
function toError(target: string, cause: unknown, signal: AbortSignal | undefined): Error {
  if (signal?.aborted) return abortedError(cause)
  return new NodeUnreachableError(`no answer from ${target}`, { cause, neverSent: false })
}
