import type { EventOrder, Publication, StreamId } from '../core/index.js'
import { RequestRefusedError } from './errors.js'
import { splitLines } from './lines.js'
import type { PeersReport } from './peers.js'
import type { RouteReport } from './routes.js'
import type { IdentityInfo, TopicInfo } from './node-info.js'
import type { StreamReport } from './streams.js'
import type { Method, Transport, TransportResponse } from './transport.js'

/** Who asks. Apps below `com.example.` need no permission. */
export interface AppManifest {
  readonly appId: string
  readonly displayName: string
  readonly version: string
}

/** How far something goes in each stream: stream id to offset. */
export type Offsets = Readonly<Record<StreamId, number>>

/** Order and bounds of a one-shot query. */
export interface QueryBounds {
  readonly order?: EventOrder
  /** Exclusive. */
  readonly lowerBound?: Offsets
  /** Inclusive. */
  readonly upperBound?: Offsets
  readonly signal?: AbortSignal
}

/** What a node tells about itself. */
export interface NodeInfo {
  readonly connectedNodes: number
  readonly uptime: { readonly secs: number; readonly nanos: number }
  readonly version: string
}

/** Talks to one node. The token is fetched with the first request, and again when the node no longer takes it. */
export class Client {
  readonly #transport: Transport
  readonly #manifest: AppManifest
  #token: Promise<string> | undefined

  constructor(transport: Transport, manifest: AppManifest) {
    this.#transport = transport
    this.#manifest = manifest
  }

  /** Where the node is, for messages. */
  get target(): string {
    return this.#transport.target
  }

  /**
   * Publishes events given as JSON texts of `{"tags":[…],"payload":…}`, in one commit; the payloads are sent as they
   * are.
   */
  async publish(events: readonly string[], signal?: AbortSignal): Promise<readonly Publication[]> {
    const body = `{"data":[${events.join(',')}]}`
    const { data } = (await this.#askJson('POST', '/api/v2/events/publish', body, signal)) as { data: Publication[] }
    return data
  }

  /** Lines of the answer as JSON texts: events and diagnostics, at last the offsets. */
  query(query: string, { order = 'asc', lowerBound, upperBound, signal }: QueryBounds = {}): AsyncGenerator<string> {
    return this.#askLines('/api/v2/events/query', { query, order, lowerBound, upperBound }, signal)
  }

  /** Lines as JSON texts: what is there, the offsets, then live events without end. */
  subscribe(query: string, { lowerBound, signal }: Omit<QueryBounds, 'order'> = {}): AsyncGenerator<string> {
    return this.#askLines('/api/v2/events/subscribe', { query, lowerBound }, signal)
  }

  async offsets(signal?: AbortSignal): Promise<{ readonly present: Offsets; readonly toReplicate: Offsets }> {
    const reply = await this.#askJson('GET', '/api/v2/events/offsets', undefined, signal)
    return reply as { present: Offsets; toReplicate: Offsets }
  }

  async nodeInfo(signal?: AbortSignal): Promise<NodeInfo> {
    return (await this.#askJson('GET', '/api/v2/node/info', undefined, signal)) as NodeInfo
  }

  async nodeId(signal?: AbortSignal): Promise<string> {
    const response = await this.#transport.request({ method: 'GET', path: '/api/v2/node/id', headers: {}, signal })
    return readText(response)
  }

  async streams(signal?: AbortSignal): Promise<readonly StreamReport[]> {
    const reply = await this.#askJson('GET', '/api/millrace/v1/streams', undefined, signal)
    return (reply as { streams: StreamReport[] }).streams
  }

  /** The swarm as the node sees it. */
  async peers(signal?: AbortSignal): Promise<PeersReport> {
    return (await this.#askJson('GET', '/api/millrace/v1/peers', undefined, signal)) as PeersReport
  }

  async identity(signal?: AbortSignal): Promise<IdentityInfo> {
    return (await this.#askJson('GET', '/api/millrace/v1/identity', undefined, signal)) as IdentityInfo
  }

  /** After a restored backup: events go into new streams from now on. For operators, over the Unix socket. */
  async beginEpoch(signal?: AbortSignal): Promise<IdentityInfo> {
    return (await this.#askJson('POST', '/api/millrace/v1/identity/epoch', undefined, signal)) as IdentityInfo
  }

  async topics(signal?: AbortSignal): Promise<readonly TopicInfo[]> {
    const reply = await this.#askJson('GET', '/api/millrace/v1/topics', undefined, signal)
    return (reply as { topics: TopicInfo[] }).topics
  }

  /** Deletes all events of a topic that is not in use. For operators, over the Unix socket. */
  async deleteTopic(name: string, signal?: AbortSignal): Promise<TopicInfo> {
    const path = `/api/millrace/v1/topics/${encodeURIComponent(name)}`
    return (await this.#askJson('DELETE', path, undefined, signal)) as TopicInfo
  }

  /**
   * Has everything checked that is stored; lines as JSON texts, the last one of type `topic`. For operators, over the Unix
   * socket.
   */
  async *verify(signal?: AbortSignal): AsyncGenerator<string> {
    const { body } = await this.#ask('POST', '/api/millrace/v1/verify', undefined, signal)
    yield* splitLines(body)
  }

  /** What a query would do, found out without running it. */
  async explain(query: string, { order, signal }: QueryBounds = {}): Promise<Readonly<Record<string, unknown>>> {
    const body = JSON.stringify({ query, order })
    return (await this.#askJson('POST', '/api/millrace/v1/explain', body, signal)) as Record<string, unknown>
  }

  /** Which stream an event with these tags would go to, by the routes that the node has in force. */
  async route(tags: readonly string[], appId: string, signal?: AbortSignal): Promise<RouteReport> {
    const body = JSON.stringify({ tags, appId })
    return (await this.#askJson('POST', '/api/millrace/v1/route', body, signal)) as RouteReport
  }

  /** The token that requests carry, for what asks beside this client. */
  token(signal?: AbortSignal): Promise<string> {
    return this.#authorised(signal)
  }

  close(): void {
    this.#transport.close()
  }

  async #askJson(method: Method, path: string, body?: string, signal?: AbortSignal): Promise<unknown> {
    const response = await this.#ask(method, path, body, signal)
    return JSON.parse(await readText(response))
  }

  async *#askLines(path: string, request: object, signal?: AbortSignal): AsyncGenerator<string> {
    const { body } = await this.#ask('POST', path, JSON.stringify(request), signal)
    yield* splitLines(body)
  }

  /** Asks with the token, and once more with a new one when the node does not take the old one any more. */
  async #ask(method: Method, path: string, body?: string, signal?: AbortSignal): Promise<TransportResponse> {
    const isFirst = this.#token === undefined
    const response = await this.#send(method, path, body, signal)
    if (response.status !== 401 || isFirst) return accept(response)
    await readText(response)
    this.#token = undefined
    return accept(await this.#send(method, path, body, signal))
  }

  async #send(method: Method, path: string, body?: string, signal?: AbortSignal): Promise<TransportResponse> {
    const headers = { authorization: `Bearer ${await this.#authorised(signal)}` }
    if (body === undefined) return this.#transport.request({ method, path, headers, signal })
    const typed = { ...headers, 'content-type': 'application/json' }
    return this.#transport.request({ method, path, headers: typed, body, signal })
  }

  #authorised(signal: AbortSignal | undefined): Promise<string> {
    const token = (this.#token ??= this.#authenticate(signal))
    token.catch(() => {
      if (this.#token === token) this.#token = undefined
    })
    return token
  }

  async #authenticate(signal: AbortSignal | undefined): Promise<string> {
    const response = await this.#transport.request({
      method: 'POST',
      path: '/api/v2/auth',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(this.#manifest),
      signal,
    })
    const { token } = JSON.parse(await readText(await accept(response))) as { token: string }
    return token
  }
}

/** @throws RequestRefusedError */
async function accept(response: TransportResponse): Promise<TransportResponse> {
  if (response.status >= 200 && response.status < 300) return response
  const text = await readText(response)
  const { code, message } = errorBody(text)
  throw new RequestRefusedError(response.status, code, message ?? `HTTP status ${String(response.status)}`)
}

function errorBody(text: string): { readonly code: string; readonly message?: string } {
  try {
    const body: unknown = JSON.parse(text)
    if (typeof body === 'object' && body !== null && 'code' in body && 'message' in body) {
      return { code: String(body.code), message: String(body.message) }
    }
  } catch {
    // Not from a node of ours, or not an error body: the status has to do.
  }
  return { code: 'ERR_UNKNOWN' }
}

async function readText({ body }: TransportResponse): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of body) text += decoder.decode(chunk, { stream: true })
  return text + decoder.decode()
}
