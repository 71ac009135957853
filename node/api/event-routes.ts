import type { Answer, RequestContext } from '../events/event-service.js'
import { offsetMapToJson } from '../../core/index.js'
import { streamAnswer } from './answer.js'
import { readBody } from './body.js'
import type { ApiContext } from './context.js'
import { ApiError, isInternal } from './errors.js'
import { parseMonotonicRequest, parseQueryRequest, parseSubscribeRequest } from './event-requests.js'
import { sendJson, type Exchange } from './exchange.js'
import type { Routes } from './routes.js'

/** Asks the event service for the answer to a request body. */
type Ask = (body: Buffer, context: RequestContext, api: ApiContext) => Promise<Answer>

/** `/api/v2/events`, all but its WebSocket. */
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
    .at('/api/v2/events/query', stream(askQuery))
    .at('/api/v2/events/subscribe', stream(askSubscribe))
    .at('/api/v2/events/subscribe_monotonic', stream(askMonotonic))
}

/** The reply of `offsets` as JSON. */
export function renderOffsets({ options: { events } }: ApiContext): string {
  const { present, toReplicate } = events.offsets()
  return JSON.stringify({ present: offsetMapToJson(present), toReplicate: offsetMapToJson(toReplicate) })
}

const askQuery: Ask = (body, context, { options }) =>
  options.events.query(parseQueryRequest(body, 0, body.length), context)

const askSubscribe: Ask = (body, context, { options }) =>
  options.events.subscribe(parseSubscribeRequest(body, 0, body.length), context)

const askMonotonic: Ask = (body, context, { options }) =>
  options.events.subscribeMonotonic(parseMonotonicRequest(body, 0, body.length), context)

function sendOffsets({ response, common }: Exchange, context: ApiContext): void {
  sendJson(response, 200, renderOffsets(context), ['cache-control', 'no-cache', ...common])
}

async function publish({ request, response, common, holder, lease }: Exchange, context: ApiContext): Promise<void> {
  const body = await readBody(request, bodyRules(context), lease)
  const reply = await context.options.events.publish(body, holder?.appId ?? '')
  sendJson(response, 200, reply, common)
}

function stream(ask: Ask) {
  return {
    POST: {
      admission: 'app',
      produces: 'application/x-ndjson',
      takesJson: true,
      run: (exchange: Exchange, context: ApiContext) => answerStream(exchange, context, ask),
    },
  } as const
}

async function answerStream(exchange: Exchange, api: ApiContext, ask: Ask): Promise<void> {
  const { request, response, common, holder, lease } = exchange
  const body = await readBody(request, bodyRules(api), lease)
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
    const answer = await ask(body, { appId: holder?.appId ?? '', signal: gone.signal }, api)
    lease.release()
    const failure = await streamAnswer(response, answer, common, api.timers, gone.signal, () => {
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
