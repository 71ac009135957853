import { Type, type Static } from '@sinclair/typebox'
import { LOG_LEVELS } from '../log-tail.js'
import type { ApiContext } from './context.js'
import { sendJson, type Exchange } from './exchange.js'
import { exactly, integer } from './reply-schemas.js'
import type { Routes } from './routes.js'
import { countIn, wordIn } from './url-parameters.js'

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
  const entries = options.log(wordIn(parameters, 'level', LOG_LEVELS, 'debug'), countIn(parameters, 'after', 0), limit)
  const reply: Static<typeof LogReply> = { entries: limit === 0 ? [] : [...entries] }
  sendJson(response, 200, JSON.stringify(reply), ['cache-control', 'no-store', ...common])
}
