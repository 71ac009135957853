import { Type, type Static } from '@sinclair/typebox'
import type { RunningAnswer } from '../events/running.js'
import type { ApiContext } from './context.js'
import { ApiError } from './errors.js'
import { sendJson, type Exchange } from './exchange.js'
import { exactly, integer } from './reply-schemas.js'
import type { Routes } from './routes.js'

const QUERIES = '/api/millrace/v1/queries'

export const RunningQuery = exactly(
  {
    id: Type.String({ description: 'For ending it; no other answer of this run of the node has it' }),
    kind: Type.Union([Type.Literal('query'), Type.Literal('subscribe'), Type.Literal('subscribe_monotonic')]),
    query: Type.String({ description: 'AQL; a long text is cut' }),
    appId: Type.String({ description: 'App that asks' }),
    since: integer('Microseconds since 1970'),
    rows: integer('Rows handed on so far'),
  },
  'A query or subscription under way',
)

export const QueriesReply = exactly({ queries: Type.Array(RunningQuery) }, 'Oldest first')

/** Queries and subscriptions under way: all of them for operators, the own ones for apps. */
export function addQueryRoutes(routes: Routes): Routes {
  return routes
    .below(QUERIES, { DELETE: { admission: 'owner', produces: 'application/json', run: endQuery } })
    .at(QUERIES, { GET: { admission: 'owner', produces: 'application/json', run: sendQueries } })
}

function sendQueries(exchange: Exchange, { options }: ApiContext): void {
  const queries = options.events.running().filter((running) => mayTouch(exchange, running))
  const reply: Static<typeof QueriesReply> = { queries: queries.map(toReply) }
  sendJson(exchange.response, 200, JSON.stringify(reply), ['cache-control', 'no-cache', ...exchange.common])
}

function endQuery(exchange: Exchange, { options }: ApiContext): void {
  const id = exchange.path.slice(QUERIES.length + 1)
  const running = options.events.running().find((candidate) => candidate.id === id)
  if (running === undefined || !mayTouch(exchange, running)) {
    throw new ApiError('ERR_NOT_FOUND', 'No such query is under way.')
  }
  options.events.end(id)
  sendJson(exchange.response, 200, JSON.stringify(toReply(running)), exchange.common)
}

function mayTouch({ isOperator, holder }: Exchange, { appId }: RunningAnswer): boolean {
  return isOperator || holder?.appId === appId
}

function toReply({ id, kind, query, appId, since, rows }: RunningAnswer): Static<typeof RunningQuery> {
  return { id, kind, query, appId, since, rows }
}
