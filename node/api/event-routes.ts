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
import { CloudEventBatch, CloudEventLines, CloudEventMapper } from './cloud-events.js'
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
import { whileWanted } from './while-wanted.js'

const NDJSON = 'application/x-ndjson'
const EVENT_STREAM = 'text/event-stream'
const CLOUD_EVENTS = 'application/cloudevents+json'
const BATCH = 'application/cloudevents-batch+json'

type StreamType = typeof NDJSON | typeof EVENT_STREAM | typeof CLOUD_EVENTS | typeof BATCH

/** What every answer comes as; the first is the usual one. A batch is one document, so it is for answers that end. */
const STREAM_TYPES = [NDJSON, EVENT_STREAM, CLOUD_EVENTS] as const

/** A service whose answer is a stream: how its requests are read, and how it is asked. */
interface StreamService<R> {
  readonly types: readonly StreamType[]
  readonly fromBody: (body: Uint8Array, start: number, end: number) => R
  readonly fromUrl: (parameters: URLSearchParams) => R
  readonly ask: (events: EventService, request: R, context: RequestContext) => Promise<Answer>
}

const QUERY: StreamService<QueryRequest> = {
  types: [...STREAM_TYPES, BATCH],
  fromBody: parseQueryRequest,
  fromUrl: toQueryRequest,
  ask: (events, request, context) => events.query(request, context),
}

const SUBSCRIBE: StreamService<SubscribeRequest> = {
  types: STREAM_TYPES,
  fromBody: parseSubscribeRequest,
  fromUrl: toSubscribeRequest,
  ask: (events, request, context) => events.subscribe(request, context),
}

const MONOTONIC: StreamService<MonotonicRequest> = {
  types: STREAM_TYPES,
  fromBody: parseMonotonicRequest,
  fromUrl: toMonotonicRequest,
  ask: (events, request, context) => events.subscribeMonotonic(request, context),
}

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
    produces: service.types,
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
    produces: service.types,
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
  const type = chooseType(exchange.request.headers.accept, service.types) ?? NDJSON
  const mapper = wantsCloudEvents(exchange, type) ? new CloudEventMapper(api.options.nodeId) : undefined
  const id = type === EVENT_STREAM ? lastEventId(exchange) : undefined
  if (id === ENDED) {
    // The one status on which a browser does not come back.
    exchange.response.writeHead(204, [...exchange.common]).end()
    return
  }
  const resumed = id === undefined ? request : { ...request, lowerBound: parseResumeId(id) }
  const formOf = ({ resumable }: Answer): AnswerForm => {
    if (type === EVENT_STREAM) {
      const point = resumable === true ? new ResumePoint(resumed.lowerBound ?? new Map()) : undefined
      return new EventStreamForm(point, mapper)
    }
    if (mapper === undefined) return NDJSON_FORM
    return type === BATCH ? new CloudEventBatch(mapper) : new CloudEventLines(type, mapper)
  }
  await send(exchange, api, (context) => service.ask(api.options.events, resumed, context), formOf)
}

/** By their media types; the parameter has them inside event streams and NDJSON. */
function wantsCloudEvents({ query }: Exchange, type: StreamType): boolean {
  const format = new URLSearchParams(query).get('format')
  if (format !== null && format !== 'cloudevents') {
    throw new ApiError('ERR_BAD_REQUEST', 'parameter `format` can only be cloudevents')
  }
  return format !== null || type === CLOUD_EVENTS || type === BATCH
}

/** What the client has had already; the parameter is for pages that are loaded anew. */
function lastEventId({ request, query }: Exchange): string | undefined {
  const header = request.headers['last-event-id']
  const id = header === undefined ? new URLSearchParams(query).get('lastEventId') : String(header)
  return id === null || id === '' ? undefined : id
}

async function send(
  exchange: Exchange,
  api: ApiContext,
  ask: (context: RequestContext) => Promise<Answer>,
  formOf: (answer: Answer) => AnswerForm,
): Promise<void> {
  const { request, response, common, holder, lease } = exchange
  api.counters.httpStreamsOpen += 1
  try {
    await whileWanted(exchange, api, async (signal) => {
      const answer = await ask({ appId: holder?.appId ?? '', signal })
      lease.release()
      const form = formOf(answer)
      if (request.method === 'HEAD') {
        response.writeHead(200, ['content-type', form.contentType, ...form.headers, ...common]).end()
        return
      }
      const failure = await streamAnswer(response, answer, form, common, api.timers, signal, () => {
        api.counters.readersCut += 1
      })
      if (failure !== undefined && isInternal(failure) && !signal.aborted) {
        api.options.logger.error({ err: failure }, 'a stream ended with an error')
      }
    })
  } finally {
    api.counters.httpStreamsOpen -= 1
  }
}

function bodyRules({ options, timers }: ApiContext): { limitBytes: number; stallMs: number } {
  return { limitBytes: options.limits.bodyBytes, stallMs: timers.bodyStallMs }
}
