import type { Entry, Operation, TxnRequest, TxnResult, CommittedChanges } from '../../state/index.js'
import type { StateOfApp, StateService } from '../state/state-service.js'
import { streamAnswer } from './answer.js'
import { NDJSON_FORM } from './answer-form.js'
import { readBody } from './body.js'
import type { ApiContext } from './context.js'
import { ApiError, isInternal } from './errors.js'
import { sendJson, type Exchange } from './exchange.js'
import { chooseType } from './negotiate.js'
import type { Routes } from './routes.js'
import { renderAppended, renderChanges, renderEntry, renderInfo, renderPage, renderTxn } from './state-replies.js'
import { checkId, parseFence, parseTtl, parseValue, parseVersion } from './state-values.js'
import { StateWatchForm } from './state-watch-form.js'
import { parsePublish, parseTxn } from './txn-body.js'
import { whileWanted } from './while-wanted.js'

export const STATE_BASE = '/api/millrace/v1/state'

/** Bytes of a request body; a value of the greatest length may be written with escapes. */
export const MAX_BODY_BYTES = 8 * 1024 * 1024

/** Entries of a page. */
const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1000

const WATCH_TYPES = ['application/x-ndjson', 'text/event-stream'] as const

const NO_STORE: readonly string[] = ['cache-control', 'no-store']

/** Lets pages read the version of an entry. */
const EXPOSED: readonly string[] = ['access-control-expose-headers', 'etag']

/** The strongly consistent state, and publishing that rests on it. */
export function addStateRoutes(routes: Routes): Routes {
  const json = { admission: 'owner', produces: 'application/json' } as const
  return routes
    .below(`${STATE_BASE}/kv`, {
      GET: { ...json, run: getEntry },
      PUT: { ...json, takesJson: true, run: putEntry },
      DELETE: { ...json, run: deleteEntry },
    })
    .at(`${STATE_BASE}/txn`, { POST: { ...json, takesJson: true, run: runTxn } })
    .at(`${STATE_BASE}/watch`, { GET: { admission: 'owner', produces: WATCH_TYPES, run: watch } })
    .at(`${STATE_BASE}/info`, { GET: { ...json, run: sendInfo } })
    .at('/api/millrace/v1/events/publish', {
      POST: { admission: 'app', produces: 'application/json', takesJson: true, run: publish },
    })
}

/** @throws ApiError where nothing keeps one */
export function serviceOf({ options: { state } }: ApiContext): StateService {
  if (state === undefined) throw new ApiError('ERR_NOT_FOUND', 'This node keeps no state.')
  return state
}

/** The operator's own pages may see what the operator may. */
export function stateOf({ holder }: Exchange, context: ApiContext): StateOfApp {
  return serviceOf(context).as(holder?.mode === 'operator' ? undefined : holder?.appId)
}

export function bodyOf({ request, lease }: Exchange, { timers }: ApiContext): Promise<Buffer> {
  return readBody(request, { limitBytes: MAX_BODY_BYTES, stallMs: timers.bodyStallMs }, lease)
}

/** The key that the path names; empty for all of them. */
function keyText({ request: { url = '' }, path }: Exchange): string {
  // A slash at the end, which `path` has lost, may belong to the key.
  const raw = /^[^?]*/.exec(url.replace(/^[a-z]+:\/\/[^/?]*/i, ''))?.[0] ?? path
  const rest = raw.slice(STATE_BASE.length + '/kv/'.length)
  try {
    return decodeURIComponent(rest)
  } catch {
    throw new ApiError('ERR_BAD_REQUEST', 'The key is not percent-encoded UTF-8.')
  }
}

async function getEntry(exchange: Exchange, context: ApiContext): Promise<void> {
  const { request, response, common } = exchange
  const key = keyText(exchange)
  if (key === '') return listEntries(exchange, context)
  const entry = await stateOf(exchange, context).get(key)
  if (entry === undefined) throw new ApiError('ERR_NOT_FOUND', `There is no entry ${JSON.stringify(key)}.`)
  const headers = [...NO_STORE, ...etagOf(entry), ...common]
  if (request.headers['if-none-match'] === quoted(entry)) response.writeHead(304, headers).end()
  else sendJson(response, 200, renderEntry(entry), headers)
}

async function listEntries(exchange: Exchange, context: ApiContext): Promise<void> {
  const { response, common, query } = exchange
  const parameters = new URLSearchParams(query)
  const atRevision = parameters.get('atRevision')
  const page = await stateOf(exchange, context).scan(
    parameters.get('prefix') ?? '',
    parameters.get('after') ?? undefined,
    limitIn(parameters),
    atRevision === null ? undefined : parseVersion(atRevision, 'parameter `atRevision`'),
  )
  sendJson(response, 200, renderPage(page), [...NO_STORE, ...common])
}

function limitIn(parameters: URLSearchParams): number {
  const text = parameters.get('limit')
  if (text === null) return DEFAULT_LIMIT
  const limit = /^[0-9]{1,9}$/.test(text) ? Number(text) : 0
  if (limit >= 1 && limit <= MAX_LIMIT) return limit
  throw new ApiError('ERR_BAD_REQUEST', `parameter \`limit\` must be from 1 to ${String(MAX_LIMIT)}`)
}

async function putEntry(exchange: Exchange, context: ApiContext): Promise<void> {
  const { request, response, common } = exchange
  const state = stateOf(exchange, context)
  const key = state.keyOf(keyText(exchange), true)
  const value = parseValue(await bodyOf(exchange, context))
  const ttl = parseTtl(request.headers['millrace-ttl']?.toString())
  const answer = await state.txn(conditionalTxn(exchange, state, { kind: 'set', key, value, ttl }))
  const [result] = answer.results
  if (!answer.succeeded || result?.kind !== 'set') {
    sendConflict(exchange, key, answer)
    return
  }
  const { version } = result
  const isNew = request.headers['if-none-match'] !== undefined
  const headers = [...etagOf({ version }), ...common]
  sendJson(response, isNew ? 201 : 200, `{"version":"${String(version)}"}`, headers)
}

async function deleteEntry(exchange: Exchange, context: ApiContext): Promise<void> {
  const state = stateOf(exchange, context)
  const key = state.keyOf(keyText(exchange), true)
  const answer = await state.txn(conditionalTxn(exchange, state, { kind: 'delete', key }))
  const [result] = answer.results
  if (!answer.succeeded || result?.kind !== 'delete') sendConflict(exchange, key, answer)
  else sendJson(exchange.response, 200, `{"deleted":${String(result.deleted)}}`, exchange.common)
}

/** One operation under the conditions of the headers; without them being met, the entry is read. */
function conditionalTxn({ request: { headers } }: Exchange, state: StateOfApp, operation: Operation): TxnRequest {
  const { app } = state
  const { key } = operation
  const condition = { kind: 'entry', key, version: undefined, value: undefined, exists: undefined } as const
  const conditions = []
  const { 'if-match': match, 'if-none-match': noneMatch } = headers
  if (match === '*') conditions.push({ ...condition, exists: true })
  else if (match !== undefined) conditions.push({ ...condition, version: parseEtag(match) })
  if (noneMatch === '*') conditions.push({ ...condition, exists: false })
  else if (noneMatch !== undefined) {
    throw new ApiError('ERR_BAD_REQUEST', 'Only `If-None-Match: *` makes a write conditional.')
  }
  const requestId = idIn(headers['idempotency-key'])
  const fencedBy = parseFence(headers['millrace-fence']?.toString(), (name) => state.keyOf(name, false))
  return { app, if: conditions, then: [operation], else: [{ kind: 'get', key }], append: [], requestId, fencedBy }
}

function idIn(header: string | string[] | undefined): string | undefined {
  return header === undefined ? undefined : checkId(String(header), 'Idempotency-Key')
}

/** `"12"`, the form of an entity tag, or the bare number. */
function parseEtag(text: string): number {
  return parseVersion(/^"(.*)"$/.exec(text)?.[1] ?? text, 'If-Match')
}

function quoted({ version }: Pick<Entry, 'version'>): string {
  return `"${String(version)}"`
}

function etagOf(entry: Pick<Entry, 'version'>): readonly string[] {
  return ['etag', quoted(entry), ...EXPOSED]
}

function sendConflict({ response, common }: Exchange, key: string, { results: [result] }: TxnResult): void {
  const current = result?.kind === 'get' ? result.entry : null
  const found = current === null ? 'is absent' : `has version ${String(current.version)}`
  const message = JSON.stringify(`${key} ${found}: nothing was changed`)
  const body = `{"code":"ERR_STATE_CONFLICT","message":${message},"current":${current === null ? 'null' : renderEntry(current)}}`
  sendJson(response, 412, body, [...(current === null ? [] : etagOf(current)), ...common])
}

async function runTxn(exchange: Exchange, context: ApiContext): Promise<void> {
  const { events } = context.options
  const state = stateOf(exchange, context)
  const request = parseTxn(await bodyOf(exchange, context), state, (scanner) => events.readEvent(scanner))
  sendJson(exchange.response, 200, renderTxn(await state.txn(request)), exchange.common)
}

async function publish(exchange: Exchange, context: ApiContext): Promise<void> {
  const { request, response, common, lease } = exchange
  const { options, timers } = context
  const rules = { limitBytes: options.limits.bodyBytes, stallMs: timers.bodyStallMs }
  const body = await readBody(request, rules, lease)
  const state = stateOf(exchange, context)
  const idempotencyKey = idIn(request.headers['idempotency-key'])
  const txn = parsePublish(body, state, (scanner) => options.events.readEvent(scanner), idempotencyKey)
  sendJson(response, 200, renderAppended((await state.txn(txn)).appended), common)
}

async function sendInfo({ response, common }: Exchange, context: ApiContext): Promise<void> {
  sendJson(response, 200, renderInfo(await serviceOf(context).info()), [...NO_STORE, ...common])
}

async function watch(exchange: Exchange, context: ApiContext): Promise<void> {
  const { request, response, common, query, lease } = exchange
  const { counters, timers, options } = context
  const parameters = new URLSearchParams(query)
  const from = request.headers['last-event-id']?.toString() ?? parameters.get('from')
  const revision = from === null ? undefined : parseVersion(from, 'parameter `from`')
  const prefix = parameters.get('prefix') ?? ''
  const type = chooseType(request.headers.accept, WATCH_TYPES)
  counters.httpStreamsOpen += 1
  try {
    await whileWanted(exchange, context, async (signal) => {
      const changes = stateOf(exchange, context).watch(prefix, revision, signal)
      // What is refused is refused before the answer begins.
      const first = await changes.next()
      lease.release()
      const form = type === 'text/event-stream' ? new StateWatchForm() : NDJSON_FORM
      if (request.method === 'HEAD') {
        await changes.return(undefined)
        response.writeHead(200, ['content-type', form.contentType, ...form.headers, ...common]).end()
        return
      }
      const failure = await streamAnswer(response, linesOf(first, changes), form, common, timers, signal, () => {
        counters.readersCut += 1
      })
      if (failure !== undefined && isInternal(failure) && !signal.aborted) {
        options.logger.error({ err: failure }, 'a watch ended with an error')
      }
    })
  } finally {
    counters.httpStreamsOpen -= 1
  }
}

async function* linesOf(
  first: IteratorResult<CommittedChanges, unknown>,
  rest: AsyncGenerator<CommittedChanges>,
): AsyncGenerator<Uint8Array> {
  try {
    if (first.done !== true) yield Buffer.from(renderChanges(first.value, true))
    for await (const commit of rest) yield Buffer.from(renderChanges(commit, false))
  } finally {
    await rest.return(undefined)
  }
}
