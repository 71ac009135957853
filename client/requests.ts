import { MillraceError } from '../core/index.js'
import { NodeUnreachableError, RequestRefusedError } from './errors.js'
import type { Method, Transport, TransportResponse } from './transport.js'
import { unlessAborted } from './unless-aborted.js'

/** Who asks. Apps below `com.example.` need no permission. */
export interface AppManifest {
  readonly appId: string
  readonly displayName: string
  readonly version: string
}

/** A token that somebody has, such as an operator's. */
export interface GivenToken {
  readonly token: string
}

/** Milliseconds in which a token must come. */
const TOKEN_MS = 30_000

/**
 * Requests with the token of an app. It is fetched with the first one, and again when the node no longer takes it; one that
 * was given is used as it is.
 */
export class Requests {
  readonly #transport: Transport
  readonly #asker: AppManifest | GivenToken | undefined
  #token: Promise<string> | undefined

  /** @param asker `undefined` for requests without a token */
  constructor(transport: Transport, asker: AppManifest | GivenToken | undefined) {
    this.#transport = transport
    this.#asker = asker
  }

  async askJson(method: Method, path: string, body?: string, signal?: AbortSignal): Promise<unknown> {
    const response = await this.ask(method, path, body, signal)
    return JSON.parse(await readText(response))
  }

  /** Asks with the token, and once more with a new one when the node does not take the old one any more. */
  async ask(method: Method, path: string, body?: string, signal?: AbortSignal): Promise<TransportResponse> {
    const isFirst = this.#token === undefined
    const response = await this.#send(method, path, body, signal)
    if (response.status !== 401 || isFirst || !this.#fetchesTokens) return accept(response)
    await readText(response)
    this.#token = undefined
    return accept(await this.#send(method, path, body, signal))
  }

  token(signal?: AbortSignal): Promise<string> {
    const asker = this.#asker
    if (asker === undefined) throw new TypeError('who asks without a token has none')
    const token = (this.#token ??= 'token' in asker ? Promise.resolve(asker.token) : this.#authenticate(asker))
    token.catch(() => {
      if (this.#token === token) this.#token = undefined
    })
    return unlessAborted(token, signal)
  }

  get #fetchesTokens(): boolean {
    return this.#asker !== undefined && !('token' in this.#asker)
  }

  async #send(method: Method, path: string, body?: string, signal?: AbortSignal): Promise<TransportResponse> {
    const headers: Record<string, string> =
      this.#asker === undefined ? {} : { authorization: `Bearer ${await this.token(signal)}` }
    if (body === undefined) return this.#transport.request({ method, path, headers, signal })
    const typed = { ...headers, 'content-type': 'application/json' }
    return this.#transport.request({ method, path, headers: typed, body, signal })
  }

  /** Many may wait for the token, so the signal of none of them ends it. */
  async #authenticate(manifest: AppManifest): Promise<string> {
    try {
      const response = await this.#transport.request({
        method: 'POST',
        path: '/api/v2/auth',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(manifest),
        signal: AbortSignal.timeout(TOKEN_MS),
      })
      const { token } = JSON.parse(await readText(await accept(response))) as { token: string }
      return token
    } catch (error) {
      if (!(error instanceof MillraceError) || error instanceof RequestRefusedError) throw error
      // What the token was wanted for has not been sent.
      throw new NodeUnreachableError(error.message, { cause: error, neverSent: true })
    }
  }
}

/** @throws RequestRefusedError */
async function accept(response: TransportResponse): Promise<TransportResponse> {
  if (response.status >= 200 && response.status < 300) return response
  const text = await readText(response)
  const { code, message, details } = errorBody(text)
  throw new RequestRefusedError(response.status, code, message ?? `HTTP status ${String(response.status)}`, details)
}

function errorBody(text: string): { code: string; message?: string; details?: Record<string, unknown> } {
  try {
    const body: unknown = JSON.parse(text)
    if (typeof body === 'object' && body !== null && 'code' in body && 'message' in body) {
      const { code, message, ...details } = body
      return { code: String(code), message: String(message), details }
    }
  } catch {
    // Not from a node of ours, or not an error body: the status has to do.
  }
  return { code: 'ERR_UNKNOWN' }
}

export async function readText({ body }: TransportResponse): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of body) text += decoder.decode(chunk, { stream: true })
  return text + decoder.decode()
}
