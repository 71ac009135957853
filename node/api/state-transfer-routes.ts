import { TRANSFER_KINDS, type TransferKind } from '../../state/index.js'
import { streamAnswer } from './answer.js'
import { NDJSON_FORM } from './answer-form.js'
import { readBody } from './body.js'
import type { ApiContext } from './context.js'
import { ApiError, isInternal } from './errors.js'
import { sendJson, type Exchange } from './exchange.js'
import type { Routes } from './routes.js'
import { MAX_BODY_BYTES, serviceOf, STATE_BASE } from './state-routes.js'
import { exportLines, parseImport, renderCheck, renderImport } from './state-transfer.js'
import { whileWanted } from './while-wanted.js'

/** Taking the state elsewhere, and looking after it; for operators, since it is that of all apps. */
export function addStateTransferRoutes(routes: Routes): Routes {
  const json = { admission: 'operator', produces: 'application/json' } as const
  return routes
    .at(`${STATE_BASE}/export`, {
      GET: { admission: 'operator', produces: 'application/x-ndjson', run: sendExport },
    })
    .at(`${STATE_BASE}/import`, { POST: { ...json, run: runImport } })
    .at(`${STATE_BASE}/verify`, { POST: { ...json, run: verify } })
    .at(`${STATE_BASE}/compact`, { POST: { ...json, run: compact } })
}

function sendExport(exchange: Exchange, context: ApiContext): Promise<void> {
  const { response, common, query } = exchange
  const { options, timers, counters } = context
  const parameters = new URLSearchParams(query)
  const prefix = parameters.get('prefix') ?? ''
  const kinds = kindsIn(parameters)
  return whileWanted(exchange, context, async (signal) => {
    const { revision, items } = serviceOf(context).export({ kinds, prefix })
    const { nodeId: node, topic, clock } = options
    const lines = exportLines({ node, topic, revision, at: clock.nowMicros(), kinds, prefix }, items)
    const failure = await streamAnswer(response, lines, NDJSON_FORM, common, timers, signal, () => {
      counters.readersCut += 1
    })
    if (failure !== undefined && isInternal(failure) && !signal.aborted) {
      options.logger.error({ err: failure }, 'an export of the state ended with an error')
    }
  })
}

function kindsIn(parameters: URLSearchParams): readonly TransferKind[] {
  const text = parameters.get('kinds')
  if (text === null) return TRANSFER_KINDS
  return text.split(',').map((name) => {
    const kind = TRANSFER_KINDS.find((each) => each === name)
    if (kind !== undefined) return kind
    const known = TRANSFER_KINDS.join(', ')
    throw new ApiError('ERR_BAD_REQUEST', `parameter \`kinds\` has ${known}, and not '${name.slice(0, 40)}'`)
  })
}

async function runImport(exchange: Exchange, context: ApiContext): Promise<void> {
  const { request, response, common, lease, query } = exchange
  const service = serviceOf(context)
  const parameters = new URLSearchParams(query)
  const body = await readBody(request, { limitBytes: MAX_BODY_BYTES, stallMs: context.timers.bodyStallMs }, lease)
  const options = { overwrites: isSet(parameters, 'overwrite'), isRehearsal: isSet(parameters, 'dryRun') }
  const report = await service.import(parseImport(body, service.as(undefined), options))
  sendJson(response, 200, renderImport(report), common)
}

function verify(exchange: Exchange, context: ApiContext): Promise<void> {
  const { request, response, common, query } = exchange
  const repairs = isSet(new URLSearchParams(query), 'repair')
  request.resume()
  return whileWanted(exchange, context, async (signal) => {
    // Once begun, a repair is brought to its end.
    const check = await serviceOf(context).check(repairs, repairs ? new AbortController().signal : signal)
    sendJson(response, 200, renderCheck(check, repairs && check.faults.length > 0), common)
  })
}

async function compact({ request, response, common }: Exchange, context: ApiContext): Promise<void> {
  request.resume()
  await serviceOf(context).compact()
  sendJson(response, 200, '{"compacted":true}', common)
}

function isSet(parameters: URLSearchParams, name: string): boolean {
  const text = parameters.get(name)
  if (text === null || text === 'false') return false
  if (text === 'true') return true
  throw new ApiError('ERR_BAD_REQUEST', `parameter \`${name}\` is true or false`)
}
