import { Type } from '@sinclair/typebox'
import type { AuditRecord } from '../audit/audit-record.js'
import type { ApiContext } from './context.js'
import { ApiError } from './errors.js'
import { sendJson, type Exchange } from './exchange.js'
import { exactly, integer } from './reply-schemas.js'
import type { Routes } from './routes.js'
import { countIn } from './url-parameters.js'
import { whileWanted } from './while-wanted.js'

const DEFAULT_RECORDS = 100
const MOST_RECORDS = 1000

/** Bytes of records at which a page ends. */
const PAGE_BYTES = 4 * 1024 * 1024

export const AuditReply = exactly(
  {
    records: Type.Array(
      exactly({ offset: integer('In the stream'), record: Type.Unknown({ description: 'As written' }) }, 'One record'),
    ),
    next: Type.Union([Type.Null(), Type.Integer()], { description: 'The `after` of the next page' }),
  },
  'What is kept of the audit, oldest first',
)

/** The audit, where its sink is the stream of the node. */
export function addAuditRoutes(routes: Routes): Routes {
  return routes.at('/api/millrace/v1/audit', {
    GET: { admission: 'manager', produces: 'application/json', run: sendAudit },
  })
}

function sendAudit(exchange: Exchange, context: ApiContext): Promise<void> {
  const { response, common, query } = exchange
  const { audit } = context.options
  if (audit === undefined) throw new ApiError('ERR_NOT_FOUND', 'This node keeps no audit.')
  const parameters = new URLSearchParams(query)
  const after = parameters.has('after') ? countIn(parameters, 'after', 0) : undefined
  const limit = Math.min(MOST_RECORDS, countIn(parameters, 'limit', DEFAULT_RECORDS))
  return whileWanted(exchange, context, async (signal) => {
    const page = await readPage(audit(after, signal), limit)
    sendJson(response, 200, page, ['cache-control', 'no-store', ...common])
  })
}

async function readPage(records: AsyncIterable<AuditRecord>, limit: number): Promise<string> {
  const lines: string[] = []
  let bytes = 0
  let last: number | undefined
  let next: number | undefined
  for await (const { offset, record } of records) {
    if (lines.length >= limit || bytes > PAGE_BYTES) {
      next = last
      break
    }
    lines.push(`{"offset":${String(offset)},"record":${record}}`)
    bytes += record.length
    last = offset
  }
  return `{"records":[${lines.join(',')}],"next":${String(next ?? null)}}`
}
