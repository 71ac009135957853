import { Type, type Static } from '@sinclair/typebox'
import { LOG_LEVELS, type LogLevel } from '../log-tail.js'
import type { ApiContext } from './context.js'
import { ApiError } from './errors.js'
import { sendJson, type Exchange } from './exchange.js'
import { exactly, integer } from './reply-schemas.js'
import type { Routes } from './routes.js'

const DEFAULT_ENTRIES = 200
const MOST_ENTRIES = 1000

export const LogReply = exactly(
  {
    entries: Type.Array(
      exactly(
        {
          number: integer('Counted from 1 since the node was started', 1),
          time: integer('Microseconds since 1970'),
          level: Type.Union(LOG_LEVELS.map((level) => Type.Literal(level))),
          message: Type.String(),
          details: Type.Record(Type.String(), Type.Unknown()),
        },
        'One line',
      ),
    ),
  },
  'The last lines of the log, oldest first, without secrets',
)

/** The tail of the daemon's log. */
export function addLogRoutes(routes: Routes): Routes {
  return routes.at('/api/millrace/v1/log', {
    GET: { admission: 'local', produces: 'application/json', run: sendLog },
  })
}

function sendLog({ response, common, query }: Exchange, { options }: ApiContext): void {
  const parameters = new URLSearchParams(query)
  const limit = Math.min(MOST_ENTRIES, countIn(parameters, 'limit', DEFAULT_ENTRIES))
  const entries = options.log(levelIn(parameters), countIn(parameters, 'after', 0), limit)
  const reply: Static<typeof LogReply> = { entries: limit === 0 ? [] : [...entries] }
  sendJson(response, 200, JSON.stringify(reply), ['cache-control', 'no-store', ...common])
}

function levelIn(parameters: URLSearchParams): LogLevel {
  const text = parameters.get('level') ?? 'debug'
  const level = LOG_LEVELS.find((known) => known === text)
  if (level !== undefined) return level
  throw new ApiError('ERR_BAD_REQUEST', `parameter \`level\` must be one of ${LOG_LEVELS.join(', ')}`)
}

function countIn(parameters: URLSearchParams, name: string, otherwise: number): number {
  const text = parameters.get(name)
  if (text === null) return otherwise
  if (/^[0-9]{1,15}$/.test(text)) return Number(text)
  throw new ApiError('ERR_BAD_REQUEST', `parameter \`${name}\` must be a whole number`)
}
