import type { EventOrder, Publication, StreamId } from '../core/index.js'
import {
  isKnown,
  parseAnswerLine,
  type AnswerLine,
  type MonotonicLine,
  type Offsets,
  type QueryLine,
  type SubscribeLine,
} from './answer.js'
import type { BlocksReport, BlocksWanted, TagsReport } from './blocks.js'
import type { AppliedRouting, DraftReport, OperatorToken, RoutingChange, RoutingInfo, SettingInfo } from './config.js'
import { AnswerFailedError, NodeUnreachableError, OutcomeUnknownError, RequestRefusedError } from './errors.js'
import { draftText, type EventDraft } from './event-draft.js'
import { followOverHttp } from './http-answer.js'
import { splitLines } from './lines.js'
import type { IdentityInfo, Readiness, ReloadInfo, TopicInfo } from './node-info.js'
import type { LogLine, LogSeverity, RunningQuery } from './operation.js'
import type { PeersReport } from './peers.js'
import { readText, Requests, type AppManifest, type GivenToken } from './requests.js'
import type { Delivery } from './resume-point.js'
import type { RouteReport } from './routes.js'
import { SharedChannel } from './shared-channel.js'
import type { StreamService } from './socket-channel.js'
import { StateClient } from './state.js'
import type { StreamReport } from './streams.js'
import type { NodeAlarmReport, SwarmReport } from './swarm.js'
import { Subscription, type QueryNature, type SubscribeOptions } from './subscription.js'
import type { Transport } from './transport.js'
import { abortedError } from './unless-aborted.js'

const CONFIG = '/api/millrace/v1/config'

/** Order and bounds of a one-shot query. */
export interface QueryBounds {
  readonly order?: EventOrder
  /** Exclusive. */
  readonly lowerBound?: Offsets
  /** Inclusive; by default what the node has at the beginning. */
  readonly upperBound?: Offsets
  /** Ends the query with an error. */
  readonly signal?: AbortSignal | undefined
}

/** What a node tells about itself. */
export interface NodeInfo {
  readonly connectedNodes: number
  readonly uptime: { readonly secs: number; readonly nanos: number }
  readonly version: string
}

/**
 * Talks to one node. The token is fetched with the first request, and again when the node no longer takes it.
 *
 * Requests are refused with a {@link RequestRefusedError}, fail with a {@link NodeUnreachableError}, and end with an error
 * of code `ERR_ABORTED` when the caller's signal comes.
 */
export class Client implements AsyncDisposable {
  readonly #transport: Transport
  readonly #requests: Requests
  readonly #channel: SharedChannel | undefined
  /** Entries of the node that are the same for everybody at once. */
  readonly state: StateClient
  /** What ends the subscriptions that are being read. */
  readonly #ends = new Set<() => void>()
  #isClosed = false

  /**
   * @param asker who asks: an app, which gets a token, or whoever has one already; left out by operators, who need none over
   *   the Unix socket
   */
  constructor(transport: Transport, asker?: AppManifest | GivenToken) {
    this.#transport = transport
    this.#requests = new Requests(transport, asker)
    this.state = new StateClient(this.#requests)
    const { openChannel } = transport
    this.#channel = openChannel === undefined ? undefined : new SharedChannel(this.#requests, openChannel)
  }

  /** Where the node is, for messages. */
  get target(): string {
    return this.#transport.target
  }

  /**
   * Publishes events in one commit; resolves when they are on disk, with where each of them went. Over a WebSocket the node
   * stores publishes in the order of the calls, also of those that are under way together.
   *
   * @throws OutcomeUnknownError when the connection broke off, and nobody knows whether they were stored; nor does one who
   *   ends it by the signal. PayloadError
   */
  async publish(events: readonly EventDraft[], signal?: AbortSignal): Promise<readonly Publication[]> {
    const texts = events.map(draftText)
    try {
      if (this.#channel === undefined) return await this.#publishOverHttp(texts, signal)
      const channel = await this.#channel.get(signal)
      return await channel.publish(texts, signal)
    } catch (error) {
      throw error instanceof NodeUnreachableError && !error.neverSent ? new OutcomeUnknownError(error) : error
    }
  }

  /**
   * What a query finds: events and warnings, at last the offsets up to which it looked. Leaving the loop closes the
   * connection. It goes over HTTP also where there is a WebSocket: only there can a slow reader hold up the node.
   *
   * @throws AnswerFailedError when it fails in its middle
   */
  async *query<P = unknown>(query: string, bounds: QueryBounds = {}): AsyncGenerator<QueryLine<P>, void, undefined> {
    for await (const text of this.queryTexts(query, bounds)) {
      const line = typedLine({ text, line: parseAnswerLine(text) })
      if (line !== undefined) yield line as QueryLine<P>
    }
  }

  /** As {@link query}, but the lines as the node wrote them, an error in the middle included. */
  async *queryTexts(query: string, bounds: QueryBounds = {}): AsyncGenerator<string, void, undefined> {
    const { order = 'asc', lowerBound, upperBound, signal } = bounds
    const body = JSON.stringify({ query, order, lowerBound, upperBound })
    const answer = await this.#requests.ask('POST', '/api/v2/events/query', body, signal)
    for await (const text of splitLines(answer.body)) {
      // What has arrived by then would still be delivered.
      if (signal?.aborted) throw abortedError(signal.reason)
      yield text
    }
  }

  /**
   * What a query finds and will find: what is stored, the offsets up to which that goes, then events as they come. See
   * {@link Subscription}. After each reconnection the offsets come again.
   */
  subscribe<P = unknown>(query: string, options: SubscribeOptions = {}): Subscription<SubscribeLine<P>> {
    const deliver = typedLine as (delivery: Delivery) => SubscribeLine<P> | undefined
    return this.#subscription('subscribe', query, options, deliver)
  }

  /** As {@link subscribe}, but the lines as the node wrote them, an error in the middle included. */
  subscribeTexts(query: string, options: SubscribeOptions = {}): Subscription<string> {
    return this.#subscription('subscribe', query, options, ({ text }) => text)
  }

  /**
   * As {@link subscribe}, but in the order of all events: when one turns up that belongs before delivered ones, the last
   * line is a time travel. Forget what you have from there on, and subscribe again.
   */
  subscribeMonotonic<P = unknown>(query: string, options: SubscribeOptions = {}): Subscription<MonotonicLine<P>> {
    const deliver = typedLine as (delivery: Delivery) => MonotonicLine<P> | undefined
    return this.#subscription('subscribe_monotonic', query, options, deliver)
  }

  async offsets(signal?: AbortSignal): Promise<{ readonly present: Offsets; readonly toReplicate: Offsets }> {
    const reply = await this.#requests.askJson('GET', '/api/v2/events/offsets', undefined, signal)
    return reply as { present: Offsets; toReplicate: Offsets }
  }

  async nodeInfo(signal?: AbortSignal): Promise<NodeInfo> {
    return (await this.#requests.askJson('GET', '/api/v2/node/info', undefined, signal)) as NodeInfo
  }

  async nodeId(signal?: AbortSignal): Promise<string> {
    const response = await this.#transport.request({ method: 'GET', path: '/api/v2/node/id', headers: {}, signal })
    return readText(response)
  }

  /** Whether the node does all its work, and why not, in sentences. */
  async readiness(signal?: AbortSignal): Promise<Readiness> {
    const headers = { authorization: `Bearer ${await this.#requests.token(signal)}` }
    // The status says the same as the body.
    const response = await this.#transport.request({ method: 'GET', path: '/ready', headers, signal })
    return JSON.parse(await readText(response)) as Readiness
  }

  /** All figures, as Prometheus text. */
  async metrics(signal?: AbortSignal): Promise<string> {
    return readText(await this.#requests.ask('GET', '/metrics', undefined, signal))
  }

  async streams(signal?: AbortSignal): Promise<readonly StreamReport[]> {
    const reply = await this.#requests.askJson('GET', '/api/millrace/v1/streams', undefined, signal)
    return (reply as { streams: StreamReport[] }).streams
  }

  /** Blocks of a stream, and what becomes of them; `undefined` when the node has nothing of it. */
  async blocks(stream: StreamId, wanted: BlocksWanted = {}): Promise<BlocksReport | undefined> {
    const { from, limit, order, signal } = wanted
    const path = `/api/millrace/v1/streams/${encodeURIComponent(stream)}/blocks${inUrl({ from, limit, order })}`
    try {
      return (await this.#requests.askJson('GET', path, undefined, signal)) as BlocksReport
    } catch (error) {
      if (error instanceof RequestRefusedError && error.status === 404) return undefined
      throw error
    }
  }

  /** Tags of stored events, and whether these are all. */
  async tags(prefix: string, limit?: number, signal?: AbortSignal): Promise<TagsReport> {
    const path = `/api/millrace/v1/tags${inUrl({ prefix, limit })}`
    return (await this.#requests.askJson('GET', path, undefined, signal)) as TagsReport
  }

  /** Who is in the swarm, and who has what of whom. */
  async swarm(signal?: AbortSignal): Promise<SwarmReport> {
    return (await this.#requests.askJson('GET', '/api/millrace/v1/swarm', undefined, signal)) as SwarmReport
  }

  /** Everything that somebody has to look after, of the node itself and of its swarm. */
  async alarms(signal?: AbortSignal): Promise<readonly NodeAlarmReport[]> {
    const reply = await this.#requests.askJson('GET', '/api/millrace/v1/alarms', undefined, signal)
    return (reply as { alarms: NodeAlarmReport[] }).alarms
  }

  /** All settings, and where each comes from. */
  async config(signal?: AbortSignal): Promise<readonly SettingInfo[]> {
    const reply = await this.#requests.askJson('GET', '/api/millrace/v1/config', undefined, signal)
    return (reply as { settings: SettingInfo[] }).settings
  }

  /** Routes and limits as they stand in the file of the node. */
  async routing(signal?: AbortSignal): Promise<RoutingInfo> {
    return (await this.#requests.askJson('GET', `${CONFIG}/eventRouting`, undefined, signal)) as RoutingInfo
  }

  /** What is wrong with a draft of routes and limits, or what it would change. */
  async checkDraft(draft: string, signal?: AbortSignal): Promise<DraftReport> {
    const body = JSON.stringify({ draft })
    return (await this.#requests.askJson('POST', `${CONFIG}/check`, body, signal)) as DraftReport
  }

  /** Writes routes and limits into the file of the node, and applies them. For operators. */
  async applyRouting(change: RoutingChange, signal?: AbortSignal): Promise<AppliedRouting> {
    const body = JSON.stringify(change)
    return (await this.#requests.askJson('PUT', `${CONFIG}/eventRouting`, body, signal)) as AppliedRouting
  }

  /** A token for an operator who cannot use the Unix socket, such as one in a browser. For operators, over the Unix socket. */
  async operatorToken(signal?: AbortSignal): Promise<OperatorToken> {
    return (await this.#requests.askJson('POST', '/api/millrace/v1/token', undefined, signal)) as OperatorToken
  }

  /** The swarm as the node sees it. */
  async peers(signal?: AbortSignal): Promise<PeersReport> {
    return (await this.#requests.askJson('GET', '/api/millrace/v1/peers', undefined, signal)) as PeersReport
  }

  async identity(signal?: AbortSignal): Promise<IdentityInfo> {
    return (await this.#requests.askJson('GET', '/api/millrace/v1/identity', undefined, signal)) as IdentityInfo
  }

  /** After a restored backup: events go into new streams from now on. For operators, over the Unix socket. */
  async beginEpoch(signal?: AbortSignal): Promise<IdentityInfo> {
    return (await this.#requests.askJson('POST', '/api/millrace/v1/identity/epoch', undefined, signal)) as IdentityInfo
  }

  /** Has the node read its configuration again. For operators, over the Unix socket. */
  async reload(signal?: AbortSignal): Promise<ReloadInfo> {
    return (await this.#requests.askJson('POST', '/api/millrace/v1/reload', undefined, signal)) as ReloadInfo
  }

  async topics(signal?: AbortSignal): Promise<readonly TopicInfo[]> {
    const reply = await this.#requests.askJson('GET', '/api/millrace/v1/topics', undefined, signal)
    return (reply as { topics: TopicInfo[] }).topics
  }

  /** Deletes all events of a topic that is not in use. For operators, over the Unix socket. */
  async deleteTopic(name: string, signal?: AbortSignal): Promise<TopicInfo> {
    const path = `/api/millrace/v1/topics/${encodeURIComponent(name)}`
    return (await this.#requests.askJson('DELETE', path, undefined, signal)) as TopicInfo
  }

  /**
   * Has everything checked that is stored; lines as JSON texts, the last one of type `topic`. For operators, over the Unix
   * socket.
   */
  async *verify(signal?: AbortSignal): AsyncGenerator<string> {
    const { body } = await this.#requests.ask('POST', '/api/millrace/v1/verify', undefined, signal)
    yield* splitLines(body)
  }

  /**
   * Everything that the node has on disk as it is now: an archive, whose last file makes it whole. For operators, over the
   * Unix socket.
   */
  async backup(withIdentity: boolean, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const path = `/api/millrace/v1/backup${withIdentity ? '' : '?identity=false'}`
    return (await this.#requests.ask('POST', path, undefined, signal)).body
  }

  /** What a query would do, found out without running it. */
  async explain(query: string, { order, signal }: QueryBounds = {}): Promise<Readonly<Record<string, unknown>>> {
    const body = JSON.stringify({ query, order })
    const reply = await this.#requests.askJson('POST', '/api/millrace/v1/explain', body, signal)
    return reply as Record<string, unknown>
  }

  /**
   * Which stream an event with these tags would go to, by the routes that the node has in force.
   *
   * @param draft routes as they would stand below `eventRouting`, instead of those
   */
  async route(tags: readonly string[], appId: string, signal?: AbortSignal, draft?: string): Promise<RouteReport> {
    const body = JSON.stringify({ tags, appId, draft })
    return (await this.#requests.askJson('POST', '/api/millrace/v1/route', body, signal)) as RouteReport
  }

  /** Queries and subscriptions under way: those of this app, and over the Unix socket all. */
  async queries(signal?: AbortSignal): Promise<readonly RunningQuery[]> {
    const reply = await this.#requests.askJson('GET', '/api/millrace/v1/queries', undefined, signal)
    return (reply as { queries: RunningQuery[] }).queries
  }

  /** Ends one of them. */
  async endQuery(id: string, signal?: AbortSignal): Promise<RunningQuery> {
    const path = `/api/millrace/v1/queries/${encodeURIComponent(id)}`
    return (await this.#requests.askJson('DELETE', path, undefined, signal)) as RunningQuery
  }

  /** The last lines of the node's log, oldest first. @param level this one and above */
  async log(level: LogSeverity, limit: number, signal?: AbortSignal): Promise<readonly LogLine[]> {
    const path = `/api/millrace/v1/log?level=${level}&limit=${String(limit)}`
    const reply = await this.#requests.askJson('GET', path, undefined, signal)
    return (reply as { entries: LogLine[] }).entries
  }

  /** The token that requests carry, for what asks beside this client. */
  token(signal?: AbortSignal): Promise<string> {
    return this.#requests.token(signal)
  }

  /** Idempotent. Ends subscriptions; other requests under way fail. */
  close(): void {
    this.#isClosed = true
    for (const end of this.#ends) end()
    this.#channel?.close()
    this.#transport.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close()
    return Promise.resolve()
  }

  async #publishOverHttp(texts: readonly string[], signal?: AbortSignal): Promise<readonly Publication[]> {
    const body = `{"data":[${texts.join(',')}]}`
    const reply = await this.#requests.askJson('POST', '/api/v2/events/publish', body, signal)
    return (reply as { data: Publication[] }).data
  }

  #subscription<Line>(
    service: StreamService,
    query: string,
    options: SubscribeOptions,
    deliver: (delivery: Delivery) => Line | undefined,
  ): Subscription<Line> {
    // The node takes a session for the monotonic kind, which means nothing.
    const request = service === 'subscribe' ? { query } : { query, session: 'millrace' }
    const source = {
      open: (lowerBound: Offsets, { resumption }: QueryNature, signal: AbortSignal) => {
        const body = JSON.stringify({ ...request, lowerBound })
        // A slow reader of a WebSocket is left and resumed, so what cannot be resumed must not go there.
        const channel = resumption === 'once' ? undefined : this.#channel
        return channel === undefined
          ? followOverHttp(this.#requests, `/api/v2/events/${service}`, body, signal)
          : followOverSocket(channel, service, body, signal)
      },
      describe: (signal: AbortSignal) => this.#natureOf(query, signal),
      deliver,
      onClose: (end: () => void) => this.#onClose(end),
    }
    return new Subscription(source, options)
  }

  #onClose(end: () => void): () => void {
    if (this.#isClosed) end()
    this.#ends.add(end)
    return () => this.#ends.delete(end)
  }

  /** Only the node reads AQL, so it is asked about queries that may be of a special kind. */
  async #natureOf(query: string, signal: AbortSignal): Promise<QueryNature> {
    if (!/AGGREGATE|LIMIT|PRAGMA/.test(query)) return { resumption: 'events', ends: false }
    const { features, source } = await this.explain(query, { signal })
    const has = (name: string): boolean => Array.isArray(features) && features.includes(name)
    if (source !== 'events') return { resumption: 'once', ends: has('limit') }
    const resumption = has('aggregate') ? 'aggregate' : has('limit') ? 'once' : 'events'
    return { resumption, ends: has('limit') }
  }
}

/** Parameters behind a path; those that are `undefined` are left out. */
function inUrl(parameters: Readonly<Record<string, string | number | undefined>>): string {
  const given = Object.entries(parameters).flatMap(([name, value]) => {
    return value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`]
  })
  return given.length === 0 ? '' : `?${given.join('&')}`
}

async function* followOverSocket(
  shared: SharedChannel,
  service: StreamService,
  request: string,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const channel = await shared.get(signal)
  yield* channel.lines(service, request, signal)
}

/** The line for those who read values; `undefined` when this version does not know it. @throws AnswerFailedError */
function typedLine({ line }: Delivery): AnswerLine | undefined {
  if (line.type === 'diagnostic' && line.severity === 'error') throw new AnswerFailedError(line.message)
  return isKnown(line) ? line : undefined
}
