import { offsetMapToJson, type OffsetMap } from '../../core/index.js'
import type {
  Answer,
  EventService,
  MonotonicRequest,
  QueryRequest,
  RequestContext,
  SubscribeRequest,
} from '../events/event-service.js'
import { streamAnswer } from './answer.js'
import { NDJSON_FORM, type AnswerForm } from './answer-form.js'
import { readBody } from './body.js'
import type { ApiContext } from './context.js'
import { ApiError, isInternal } from './errors.js'
import {
  parseMonotonicRequest,
  parseQueryRequest,
  parseSubscribeRequest,
  toMonotonicRequest,
  toQueryRequest,
  toSubscribeRequest,
} from './event-requests.js'
import { EventStreamForm } from './event-stream-form.js'
import { sendJson, type Exchange } from './exchange.js'
import { chooseType } from './negotiate.js'
import { ENDED, parseResumeId, ResumePoint } from './resume-point.js'
import type { Action, Routes } from './routes.js'

/** A service whose answer is a stream: how its requests are read, and how it is asked. */
interface StreamService<R> {
  readonly fromBody: (body: Uint8Array, start: number, end: number) => R
  readonly fromUrl: (parameters: URLSearchParams) => R
  readonly ask: (events: EventService, request: R, context: RequestContext) => Promise<Answer>
}

const QUERY: StreamService<QueryRequest> = {
  fromBody: parseQueryRequest,
  fromUrl: toQueryRequest,
  ask: (events, request, context) => events.query(request, context),
}

const SUBSCRIBE: StreamService<SubscribeRequest> = {
  fromBody: parseSubscribeRequest,
  fromUrl: toSubscribeRequest,
  ask: (events, request, context) => events.subscribe(request, context),
}

const MONOTONIC: StreamService<MonotonicRequest> = {
  fromBody: parseMonotonicRequest,
  fromUrl: toMonotonicRequest,
  ask: (events, request, context) => events.subscribeMonotonic(request, context),
}

const STREAM_TYPES = ['application/x-ndjson', 'text/event-stream'] as const

/** `/api/v2/events`, all but its WebSocket, and the same streams below `/api/millrace/v1` for those who can only GET. */
export function addEventRoutes(routes: Routes): Routes {
  return routes
    .at('/api/v2/events', {
      GET: {
        admission: 'none',
        run: () => {
          throw new ApiError('ERR_UPGRADE_REQUIRED', 'This resource is a WebSocket (version 13).')
        },
      },
    })
    .at('/api/v2/events/offsets', { GET: { admission: 'app', produces: 'application/json', run: sendOffsets } })
    .at('/api/v2/events/publish', {
      POST: { admission: 'app', produces: 'application/json', takesJson: true, run: publish },
    })
    .at('/api/v2/events/query', { POST: byBody(QUERY) })
    .at('/api/v2/events/subscribe', { POST: byBody(SUBSCRIBE) })
    .at('/api/v2/events/subscribe_monotonic', { POST: byBody(MONOTONIC) })
    .at('/api/millrace/v1/events/query', { GET: byUrl(QUERY), POST: byBody(QUERY) })
    .at('/api/millrace/v1/events/subscribe', { GET: byUrl(SUBSCRIBE), POST: byBody(SUBSCRIBE) })
    .at('/api/millrace/v1/events/subscribe_monotonic', { GET: byUrl(MONOTONIC), POST: byBody(MONOTONIC) })
}

/** The reply of `offsets` as JSON. */
export function renderOffsets({ options: { events } }: ApiContext): string {
  const { present, toReplicate } = events.offsets()
  return JSON.stringify({ present: offsetMapToJson(present), toReplicate: offsetMapToJson(toReplicate) })
}

function sendOffsets({ response, common }: Exchange, context: ApiContext): void {
  sendJson(response, 200, renderOffsets(context), ['cache-control', 'no-cache', ...common])
}

async function publish({ request, response, common, holder, lease }: Exchange, context: ApiContext): Promise<void> {
  const body = await readBody(request, bodyRules(context), lease)
  const reply = await context.options.events.publish(body, holder?.appId ?? '')
  sendJson(response, 200, reply, common)
}

function byBody<R extends Bounded>(service: StreamService<R>): Action {
  return {
    admission: 'app',
    produces: STREAM_TYPES,
    takesJson: true,
    run: async (exchange, context) => {
      const body = await readBody(exchange.request, bodyRules(context), exchange.lease)
      await answerStream(exchange, context, service, service.fromBody(body, 0, body.length))
    },
  }
}

function byUrl<R extends Bounded>(service: StreamService<R>): Action {
  return {
    admission: 'app',
    produces: STREAM_TYPES,
    run: (exchange, context) =>
      answerStream(exchange, context, service, service.fromUrl(new URLSearchParams(exchange.query))),
  }
}

/** What can be taken up again. */
interface Bounded {
  readonly lowerBound: OffsetMap | undefined
}

/** Answers a request as the client likes it best. */
async function answerStream<R extends Bounded>(
  exchange: Exchange,
  api: ApiContext,
  service: StreamService<R>,
  request: R,
): Promise<void> {
  const isEventStream = chooseType(exchange.request.headers.accept, STREAM_TYPES) === 'text/event-stream'
  const id = isEventStream ? lastEventId(exchange) : undefined
  if (id === ENDED) {
    // The one status on which a browser does not come back.
    exchange.response.writeHead(204, [...exchange.common]).end()
    return
  }
  const resumed = id === undefined ? request : { ...request, lowerBound: parseResumeId(id) }
  const formOf = ({ resumable }: Answer): AnswerForm => {
    if (!isEventStream) return NDJSON_FORM
    return new EventStreamForm(resumable === true ? new ResumePoint(resumed.lowerBound ?? new Map()) : undefined)
  }
  await send(exchange, api, (context) => service.ask(api.options.events, resumed, context), formOf)
}

/** What the client has had already; the parameter is for pages that are loaded anew. */
function lastEventId({ request, query }: Exchange): string | undefined {
  const header = request.headers['last-event-id']
  const id = header === undefined ? new URLSearchParams(query).get('lastEventId') : String(header)
  return id === null || id === '' ? undefined : id
}

async function send(
  { request, response, common, holder, lease }: Exchange,
  api: ApiContext,
  ask: (context: RequestContext) => Promise<Answer>,
  formOf: (answer: Answer) => AnswerForm,
): Promise<void> {
  const gone = new AbortController()
  const leave = (): void => {
    gone.abort()
  }
  const end = (): void => {
    gone.abort(new ApiError('ERR_SHUTTING_DOWN', 'the node is stopping'))
  }
  response.on('close', leave)
  api.closing.addEventListener('abort', end)
  api.counters.httpStreamsOpen += 1
  try {
    if (api.closing.aborted) end()
    const answer = await ask({ appId: holder?.appId ?? '', signal: gone.signal })
    lease.release()
    const form = formOf(answer)
    if (request.method === 'HEAD') {
      response.writeHead(200, ['content-type', form.contentType, ...form.headers, ...common]).end()
      return
    }
    const failure = await streamAnswer(response, answer, form, common, api.timers, gone.signal, () => {
      api.counters.readersCut += 1
    })
    if (failure !== undefined && isInternal(failure) && !gone.signal.aborted) {
      api.options.logger.error({ err: failure }, 'a stream ended with an error')
    }
  } finally {
    api.counters.httpStreamsOpen -= 1
    response.off('close', leave)
    api.closing.removeEventListener('abort', end)
  }
}

function bodyRules({ options, timers }: ApiContext): { limitBytes: number; stallMs: number } {
  return { limitBytes: options.limits.bodyBytes, stallMs: timers.bodyStallMs }
}
