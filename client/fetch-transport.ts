import { NodeUnreachableError } from './errors.js'
import type { Transport } from './transport.js'

/** Carries requests by the `fetch` that browsers and Node have. `url` is that of the node: `http://127.0.0.1:4454`. */
export function fetchTransport(url: string): Transport {
  const target = url.replace(/\/+$/, '')
  return {
    target,
    async request({ method, path, headers, body, signal }) {
      const init = { method, headers: { ...headers }, signal: signal ?? null, body: body ?? null }
      const response = await fetch(target + path, init).catch((error: unknown) => {
        signal?.throwIfAborted()
        throw unreachable(target, error)
      })
      return { status: response.status, body: chunksOf(response.body, target, signal) }
    },
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
        signal?.throwIfAborted()
        throw unreachable(target, error)
      })
      if (done) return
      yield value
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

/** `fetch` does not tell whether the request was sent. */
function unreachable(target: string, cause: unknown): NodeUnreachableError {
  return new NodeUnreachableError(`no answer from ${target}`, { cause, neverSent: false })
}
