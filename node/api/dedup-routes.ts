import { Type } from '@sinclair/typebox'
import { JsonScanner } from '../../core/index.js'
import type { ClaimAnswer, ClaimToken } from '../../state/index.js'
import type { StateOfApp } from '../state/state-service.js'
import type { ApiContext } from './context.js'
import { ApiError } from './errors.js'
import { sendJson, type Exchange } from './exchange.js'
import { exactly, integer } from './reply-schemas.js'
import type { Routes } from './routes.js'
import { bodyOf, stateOf } from './state-routes.js'
import { checkId, MAX_TTL_MS, missing, parseVersion, readMs, readValue } from './state-values.js'
import { members } from './txn-body.js'

const BASE = '/api/millrace/v1/state/dedup'

/** How long results are remembered unless the caller says otherwise, milliseconds. */
const DEFAULT_WINDOW_MS = 24 * 60 * 60 * 1000

/** How long it may take unless the caller says otherwise, milliseconds. */
const DEFAULT_STALE_MS = 60_000

const Attempt = integer('1, and more for each claim before it that got no result in time', 1)

export const ClaimReply = Type.Union([
  exactly({ new: Type.Literal(true), token: Type.String(), attempt: Attempt }, 'The caller is to do it'),
  exactly(
    { inProgress: Type.Literal(true), since: integer('Milliseconds since 1970'), attempt: Attempt },
    'Somebody is at it',
  ),
  exactly(
    {
      done: Type.Literal(true),
      result: Type.Unknown({ description: 'As it was given with `done`' }),
      at: integer('When it was done, milliseconds since 1970'),
    },
    'It was done in the window',
  ),
])

export const DoneReply = exactly(
  { at: integer('When the result was remembered, milliseconds since 1970') },
  'The result is remembered',
)

export const AbandonReply = exactly({ abandoned: Type.Boolean() }, 'Whether the claim was still there')

/** Things that are done once. */
export function addDedupRoutes(routes: Routes): Routes {
  const json = { admission: 'owner', produces: 'application/json', takesJson: true } as const
  return routes
    .at(`${BASE}/claim`, { POST: { ...json, run: claim } })
    .at(`${BASE}/done`, { POST: { ...json, run: done } })
    .at(`${BASE}/abandon`, { POST: { ...json, run: abandon } })
}

async function claim(exchange: Exchange, context: ApiContext): Promise<void> {
  const state = stateOf(exchange, context)
  const scanner = new JsonScanner(await bodyOf(exchange, context))
  let key: string | undefined
  let windowMs = DEFAULT_WINDOW_MS
  let staleMs = DEFAULT_STALE_MS
  let requestId: string | undefined
  members(scanner, 'a claim', {
    key: () => (key = scanner.string()),
    windowMs: () => (windowMs = readMs(scanner, 1, MAX_TTL_MS)),
    staleMs: () => (staleMs = readMs(scanner, 1, MAX_TTL_MS)),
    requestId: () => (requestId = checkId(scanner.string(), 'requestId')),
  })
  scanner.expectEnd()
  const wish = { app: state.app, key: state.keyOf(key ?? missing('key'), true), windowMs, staleMs, requestId }
  sendJson(exchange.response, 200, renderClaim(await state.dedup.claim(wish)), exchange.common)
}

async function done(exchange: Exchange, context: ApiContext): Promise<void> {
  const state = stateOf(exchange, context)
  const scanner = new JsonScanner(await bodyOf(exchange, context))
  let token: string | undefined
  let result = 'null'
  members(scanner, 'a result', {
    token: () => (token = scanner.string()),
    result: () => (result = readValue(scanner)),
  })
  scanner.expectEnd()
  const at = await state.dedup.done(parseToken(token ?? missing('token'), state), result)
  sendJson(exchange.response, 200, JSON.stringify({ at }), exchange.common)
}

async function abandon(exchange: Exchange, context: ApiContext): Promise<void> {
  const state = stateOf(exchange, context)
  const scanner = new JsonScanner(await bodyOf(exchange, context))
  let token: string | undefined
  members(scanner, 'a claim that is given up', { token: () => (token = scanner.string()) })
  scanner.expectEnd()
  const abandoned = await state.dedup.abandon(parseToken(token ?? missing('token'), state))
  sendJson(exchange.response, 200, JSON.stringify({ abandoned }), exchange.common)
}

/** `<number of the claim>:<key>` */
function parseToken(text: string, state: StateOfApp): ClaimToken {
  const [, claim, key] = /^([0-9]+):(.+)$/s.exec(text) ?? []
  if (claim === undefined || key === undefined) {
    throw new ApiError('ERR_BAD_REQUEST', '`token` must be what `claim` has answered')
  }
  return { claim: parseVersion(claim, 'the number in `token`'), key: state.keyOf(key, true) }
}

function renderClaim(answer: ClaimAnswer): string {
  switch (answer.kind) {
    case 'new': {
      const { token, attempt } = answer
      return JSON.stringify({ new: true, token: `${String(token.claim)}:${token.key}`, attempt })
    }
    case 'inProgress':
      return JSON.stringify({ inProgress: true, since: answer.sinceMs, attempt: answer.attempt })
    case 'done':
      return `{"done":true,"result":${answer.result},"at":${String(answer.atMs)}}`
  }
}
