import type { AppId, EventOrder, JsonScanner, NewEvent, OffsetMap, Publication } from '../../core/index.js'
import type { RunningAnswer } from './running.js'

/**
 * What the app API needs of the node: everything about events, free of HTTP and WebSocket. Answers come as chunks of
 * finished NDJSON lines in the wire's own form, so that the API layer copies bytes and builds no objects.
 */
export interface EventService {
  /** Newest readable offset per stream, and counts of events known to be missing here. */
  offsets(): { readonly present: OffsetMap; readonly toReplicate: ReadonlyMap<string, number> }

  /**
   * Publishes the events of one request body (`{"data":[{"tags":[…],"payload":…},…]}`, JSON in UTF-8), in one commit.
   *
   * @returns the reply body `{"data":[{"lamport":…,"stream":…,"offset":…,"timestamp":…},…]}` as JSON text
   * @throws RequestShapeError and others: nothing was stored
   */
  publish(body: Uint8Array, appId: AppId): Promise<string>

  /**
   * The first half of `publish` where the body is part of a bigger text, which is UTF-8: reads it from where the scanner
   * stands, and leaves the scanner behind it.
   *
   * @throws as `publish`
   */
  readEvents(scanner: JsonScanner): readonly NewEvent[]

  /** As {@link readEvents} of one event, `{"tags":[…],"payload":…}`. */
  readEvent(scanner: JsonScanner): NewEvent

  /** The second half. Called in order, the events are stored in order. */
  publishEvents(events: readonly NewEvent[], appId: AppId): Promise<string>

  /** As {@link publishEvents}, with a reply for programs. */
  store(events: readonly NewEvent[], appId: AppId): Promise<readonly Publication[]>

  /**
   * A one-shot query. Errors of the text or of the endpoint are thrown before the first chunk;
   * later ones arrive as `diagnostic` lines.
   */
  query(request: QueryRequest, context: RequestContext): Promise<Answer>
  subscribe(request: SubscribeRequest, context: RequestContext): Promise<Answer>
  subscribeMonotonic(request: MonotonicRequest, context: RequestContext): Promise<Answer>

  /** Answers under way, oldest first. */
  running(): readonly RunningAnswer[]

  /** Ends an answer, if it is under way: its reader gets a diagnostic as the last line. */
  end(id: string): void
}

export interface RequestContext {
  readonly appId: AppId
  /** Aborted when the client goes away or cancels. */
  readonly signal: AbortSignal
}

export interface QueryRequest {
  readonly query: string
  readonly order: EventOrder
  readonly lowerBound: OffsetMap | undefined
  readonly upperBound: OffsetMap | undefined
}

export interface SubscribeRequest {
  readonly query: string
  readonly lowerBound: OffsetMap | undefined
}

export interface MonotonicRequest {
  readonly query: string
  readonly session: string
  readonly lowerBound: OffsetMap
}

/**
 * Lines of an answer: each chunk holds whole lines, each ended by one line feed, none empty. Pulling is flow control: a
 * reader that does not pull holds up only itself. Ending the iteration early cancels.
 */
export interface Answer extends AsyncIterable<Uint8Array> {
  /** Whether it can be taken up after any of its events, with the offsets of what was delivered as lower bound. */
  readonly resumable?: boolean
}
