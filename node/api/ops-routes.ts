import { AqlSyntaxError } from '../../aql/index.js'
import { renderRoute } from './additions.js'
import { renderAlarms } from './alarms-reply.js'
import { readBody } from './body.js'
import type { ApiContext } from './context.js'
import { ApiError, toErrorReply } from './errors.js'
import { parseExplainRequest, parseRouteQuestion } from './event-requests.js'
import { sendJson, sendText, type Exchange } from './exchange.js'
import { renderPeers } from './peers-reply.js'
import { openApiDocument } from './openapi.js'
import type { Routes } from './routes.js'
import { renderSwarm } from './swarm-reply.js'

const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** What the Actyx API does not have: `/health`, `/ready` and `/metrics`, and our own resources. */
export function addOpsRoutes(routes: Routes): Routes {
  return routes
    .at('/health', { GET: { admission: 'none', run: sendHealth } })
    .at('/ready', { GET: { admission: 'local', run: sendReadiness } })
    .at('/metrics', { GET: { admission: 'local', run: sendMetrics } })
    .at('/api/millrace/v1/peers', {
      GET: { admission: 'local', produces: 'application/json', run: sendPeers },
    })
    .at('/api/millrace/v1/swarm', {
      GET: { admission: 'local', produces: 'application/json', run: sendSwarm },
    })
    .at('/api/millrace/v1/alarms', {
      GET: { admission: 'local', produces: 'application/json', run: sendAlarms },
    })
    .at('/api/millrace/v1/explain', {
      POST: { admission: 'local', produces: 'application/json', takesJson: true, run: explain },
    })
    .at('/api/millrace/v1/route', {
      POST: { admission: 'local', produces: 'application/json', takesJson: true, run: explainRoute },
    })
    .at('/api/millrace/v1/openapi.json', {
      GET: { admission: 'local', produces: 'application/json', run: sendOpenApi },
    })
}

function sendHealth({ response, common }: Exchange): void {
  sendJson(response, 200, '{"status":"ok"}', ['cache-control', 'no-store', ...common])
}

function sendReadiness({ response, common }: Exchange, { options }: ApiContext): void {
  const { ready, reasons } = options.health()
  sendJson(response, ready ? 200 : 503, JSON.stringify({ ready, reasons }), ['cache-control', 'no-store', ...common])
}

async function sendMetrics({ response, common }: Exchange, { options }: ApiContext): Promise<void> {
  sendText(response, 200, METRICS_TYPE, await options.metrics(), ['cache-control', 'no-store', ...common])
}

function sendPeers({ response, common }: Exchange, { options }: ApiContext): void {
  sendJson(response, 200, renderPeers(options.swarm(), options.topic), ['cache-control', 'no-cache', ...common])
}

async function sendSwarm({ response, common }: Exchange, { options }: ApiContext): Promise<void> {
  const picture = await options.views.swarm()
  sendJson(response, 200, renderSwarm(picture, options.clock.nowMicros()), ['cache-control', 'no-cache', ...common])
}

function sendAlarms({ response, common }: Exchange, { options }: ApiContext): void {
  sendJson(response, 200, renderAlarms(options.views.alarms()), ['cache-control', 'no-cache', ...common])
}

function readQuestion({ request, lease }: Exchange, { options, timers }: ApiContext): Promise<Buffer> {
  return readBody(request, { limitBytes: options.limits.bodyBytes, stallMs: timers.bodyStallMs }, lease)
}

async function explainRoute(exchange: Exchange, context: ApiContext): Promise<void> {
  const { response, common, holder } = exchange
  const { question, draft } = parseRouteQuestion(await readQuestion(exchange, context), holder?.appId ?? NO_APP)
  const { options } = context
  if (draft === undefined) {
    sendJson(response, 200, renderRoute({ ...question, ...options.explainRoute(question) }), common)
    return
  }
  if (options.configuration === undefined) throw new ApiError('ERR_NOT_FOUND', 'This node takes no drafts.')
  const explained = options.configuration.explainRoute(draft, question)
  sendJson(response, 200, renderRoute({ ...question, ...explained }), common)
}

async function explain(exchange: Exchange, context: ApiContext): Promise<void> {
  const { response, common, holder } = exchange
  const { options } = context
  const body = await readQuestion(exchange, context)
  try {
    const explanation = await options.explain(parseExplainRequest(body), holder?.appId ?? NO_APP)
    sendJson(response, 200, JSON.stringify(explanation), common)
  } catch (error) {
    if (!(error instanceof AqlSyntaxError)) throw error
    const { line, column, offset, reason } = error
    const { status, code, message } = toErrorReply(error)
    sendJson(response, status, JSON.stringify({ code, message, line, column, offset, reason }), common)
  }
}

function sendOpenApi({ response, common }: Exchange, { options }: ApiContext): void {
  sendJson(response, 200, JSON.stringify(openApiDocument(options.version)), ['cache-control', 'no-cache', ...common])
}

/** Stands for `appId(me)` where somebody without a token asks what a query would do: no app has it. */
const NO_APP = '-'
