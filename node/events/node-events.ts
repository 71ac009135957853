import { prepareQuery, type AqlLimits, type Endpoint, type LiveQuery, type PreparedQuery } from '../../aql/index.js'
import {
  MillraceError,
  type AppId,
  type Clock,
  type JsonScanner,
  type NewEvent,
  type OffsetMap,
  type Publication,
} from '../../core/index.js'
import { Histogram, type HistogramSnapshot } from '../../storage/index.js'
import { diagnosticLine } from './answer-lines.js'
import type {
  Answer,
  EventService,
  MonotonicRequest,
  QueryRequest,
  RequestContext,
  SubscribeRequest,
} from './event-service.js'
import type { FollowInput } from './follow.js'
import { LiveIndex } from './live-index.js'
import { answerMonotonic } from './monotonic.js'
import { PublishBodyReader } from './publish-body.js'
import { answerQuery, BOUNDS_MESSAGE, isWithin } from './query.js'
import { isResumable } from './resumable.js'
import type { Router } from './router.js'
import { RunningAnswers, type Running, type RunningAnswer } from './running.js'
import type { ServedStore } from './served-store.js'
import { answerSubscription } from './subscription.js'

/** A bound of a request lies beyond what the node has. */
export class BoundsError extends MillraceError {
  readonly code = 'ERR_BOUNDS_OUT_OF_RANGE'
}

export interface NodeEventsOptions {
  readonly store: ServedStore
  readonly router: Router
  readonly clock: Clock
  readonly limits: Partial<AqlLimits>
  /** Told of errors inside an answer that has begun, which its reader sees only as a diagnostic. */
  readonly onAnswerError: (error: unknown) => void
}

/** Counts since start. */
export interface EventCounters {
  readonly queries: number
  readonly queriesRunning: number
  readonly subscriptions: number
  readonly subscriptionsOpen: number
  readonly answeredBytes: number
  /** Events, and results of queries that make something else of them. */
  readonly answeredRows: number
  /** Answers that an error of the node ended. */
  readonly answerErrors: number
  /** From the first look at an answer to its end, seconds. */
  readonly querySeconds: HistogramSnapshot
}

/** Upper bounds for times of queries, seconds: 1 ms to 5 min. */
const QUERY_BOUNDS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 300,
]

/** The last line of an answer that somebody else than its reader has ended. */
const ENDED_MESSAGE = 'This request was ended by the operator of the node.'

const EMPTY: OffsetMap = new Map()

/** Publishing, queries and subscriptions on the node's store. */
export class NodeEvents implements EventService {
  readonly #store: ServedStore
  readonly #clock: Clock
  readonly #limits: Partial<AqlLimits>
  readonly #onAnswerError: (error: unknown) => void
  readonly #index: LiveIndex
  readonly #bodies = new PublishBodyReader()
  readonly #stopListening: () => void
  readonly #running: RunningAnswers
  #router: Router
  #counters = {
    queries: 0,
    queriesRunning: 0,
    subscriptions: 0,
    subscriptionsOpen: 0,
    answeredBytes: 0,
    answeredRows: 0,
    answerErrors: 0,
  }
  readonly #querySeconds = new Histogram(QUERY_BOUNDS)

  constructor(options: NodeEventsOptions) {
    this.#store = options.store
    this.#router = options.router
    this.#clock = options.clock
    this.#limits = options.limits
    this.#onAnswerError = options.onAnswerError
    this.#index = new LiveIndex(options.store.nodeId)
    this.#running = new RunningAnswers(options.clock)
    this.#stopListening = options.store.onCommit((batches) => {
      this.#index.dispatch(batches)
    })
  }

  get counters(): EventCounters {
    return { ...this.#counters, querySeconds: this.#querySeconds.snapshot() }
  }

  get router(): Router {
    return this.#router
  }

  /** Routes of later events; those under way keep theirs. */
  setRouter(router: Router): void {
    this.#router = router
  }

  /** Lets go of the store; open answers end with their signals. */
  close(): void {
    this.#stopListening()
  }

  offsets(): { readonly present: OffsetMap; readonly toReplicate: ReadonlyMap<string, number> } {
    return { present: this.#store.offsets(), toReplicate: this.#store.missing() }
  }

  async publish(body: Uint8Array, appId: AppId): Promise<string> {
    return this.publishEvents(this.#bodies.read(body), appId)
  }

  readEvents(scanner: JsonScanner): readonly NewEvent[] {
    return this.#bodies.readFrom(scanner)
  }

  readEvent(scanner: JsonScanner): NewEvent {
    return this.#bodies.readEvent(scanner)
  }

  async publishEvents(events: readonly NewEvent[], appId: AppId): Promise<string> {
    const publications = await this.store(events, appId)
    return `{"data":[${publications.map(renderPublication).join(',')}]}`
  }

  async store(events: readonly NewEvent[], appId: AppId): Promise<readonly Publication[]> {
    const timestamp = this.#clock.nowMicros()
    if (events.length === 0) return []
    const router = this.#router
    return this.#store.append({
      appId,
      timestamp,
      events: events.map(({ tags, payload }) => ({
        tags,
        payload,
        streamNumber: router.decide(tags, appId).streamNumber,
      })),
    })
  }

  query(request: QueryRequest, context: RequestContext): Promise<Answer> {
    return attempt(() => {
      const query = this.#prepare(request.query, 'query', context)
      const present = this.#store.offsets()
      this.#counters.queries += 1
      const running = this.#running.prepare('query', request.query, context)
      const lines = answerQuery(query, {
        reader: this.#store,
        nodeId: this.#store.nodeId,
        order: request.order,
        lowerBound: request.lowerBound ?? EMPTY,
        upperBound: request.upperBound ?? present,
        present,
        signal: running.signal,
        progress: running,
      })
      return Object.assign(this.#guarded(lines, 'queriesRunning', running, context), {
        resumable: isResumable(query, request.order),
      })
    })
  }

  subscribe(request: SubscribeRequest, context: RequestContext): Promise<Answer> {
    return attempt(() => {
      const query = this.#prepare(request.query, 'subscribe', context)
      const live = query.live({ nodeId: this.#store.nodeId })
      this.#counters.subscriptions += 1
      const running = this.#running.prepare('subscribe', request.query, context)
      const lines = answerSubscription(query, live, this.#follow(live, request.lowerBound ?? EMPTY, running))
      return Object.assign(this.#guarded(lines, 'subscriptionsOpen', running, context), {
        resumable: isResumable(query, 'asc'),
      })
    })
  }

  subscribeMonotonic(request: MonotonicRequest, context: RequestContext): Promise<Answer> {
    return attempt(() => {
      const query = this.#prepare(request.query, 'subscribe_monotonic', context)
      const live = query.live({ nodeId: this.#store.nodeId })
      if (!isWithin(request.lowerBound, this.#store.offsets())) throw new BoundsError(BOUNDS_MESSAGE)
      this.#counters.subscriptions += 1
      const past = query.live({ nodeId: this.#store.nodeId })
      const running = this.#running.prepare('subscribe_monotonic', request.query, context)
      const lines = answerMonotonic(live, past, this.#follow(live, request.lowerBound, running))
      return Object.assign(this.#guarded(lines, 'subscriptionsOpen', running, context), {
        resumable: isResumable(query, 'asc'),
      })
    })
  }

  running(): readonly RunningAnswer[] {
    return this.#running.list()
  }

  end(id: string): void {
    this.#running.get(id)?.end()
  }

  #prepare(text: string, endpoint: Endpoint, { appId }: RequestContext): PreparedQuery {
    return prepareQuery(text, { endpoint, appId, nowMicros: this.#clock.nowMicros(), limits: this.#limits })
  }

  #follow(live: LiveQuery, lowerBound: OffsetMap, running: Running): FollowInput {
    const { signal } = running
    const { selection } = live
    return { events: this.#store, index: this.#index, selection, lowerBound, signal, progress: running }
  }

  /** Counts an answer and turns an error in its middle into its last line. */
  async *#guarded(
    lines: AsyncGenerator<Buffer>,
    gauge: 'queriesRunning' | 'subscriptionsOpen',
    running: Running,
    { signal }: RequestContext,
  ): AsyncGenerator<Buffer> {
    this.#counters[gauge] += 1
    const started = performance.now()
    this.#running.add(running)
    let rows = 0
    try {
      for await (const chunk of lines) {
        this.#counters.answeredBytes += chunk.length
        this.#counters.answeredRows += running.rows - rows
        rows = running.rows
        yield chunk
      }
      if (running.isEnded && !signal.aborted) yield Buffer.from(diagnosticLine('error', ENDED_MESSAGE))
    } catch (error) {
      if (signal.aborted) return
      if (running.isEnded) {
        yield Buffer.from(diagnosticLine('error', ENDED_MESSAGE))
        return
      }
      this.#counters.answerErrors += 1
      this.#onAnswerError(error)
      const message = error instanceof MillraceError ? error.message : 'Internal server error.'
      yield Buffer.from(diagnosticLine('error', message))
    } finally {
      this.#counters[gauge] -= 1
      if (gauge === 'queriesRunning') this.#querySeconds.observe((performance.now() - started) / 1000)
      this.#running.delete(running)
    }
  }
}

function renderPublication({ lamport, stream, offset, timestamp }: Publication): string {
  return `{"lamport":${String(lamport)},"stream":"${stream}","offset":${String(offset)},"timestamp":${String(timestamp)}}`
}

/** Runs `work` at once; what it throws rejects. */
function attempt<T>(work: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(work())
  })
}
