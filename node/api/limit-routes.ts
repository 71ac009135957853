import { Type } from '@sinclair/typebox'
import { JsonScanner } from '../../core/index.js'
import type { LimitAlign, LimitPart } from '../../state/index.js'
import type { StateOfApp } from '../state/state-service.js'
import type { ApiContext } from './context.js'
import { ApiError } from './errors.js'
import { sendJson, type Exchange } from './exchange.js'
import { exactly, integer } from './reply-schemas.js'
import type { Routes } from './routes.js'
import { bodyOf, stateOf } from './state-routes.js'
import { checkId, MAX_TTL_MS, missing, readMs, readValue, readWord } from './state-values.js'
import { members } from './txn-body.js'

const BASE = '/api/millrace/v1/state/limits'

/** Limits of one take. */
const MAX_PARTS = 64

const Wait = integer('Milliseconds after which it may be tried again; 0 when there is room')

export const TakeReply = exactly(
  {
    ok: Type.Boolean({ description: 'Whether all of it was taken; else nothing was' }),
    retryAfterMs: Wait,
    limits: Type.Array(
      exactly(
        { name: Type.String(), used: integer('In the window, with what was taken now'), retryAfterMs: Wait },
        'One limit',
      ),
      { description: 'In the order of the request' },
    ),
    token: Type.Optional(Type.String({ description: 'For `refund`, with a `requestId`' })),
  },
  'Whether there was room',
)

export const RefundReply = exactly({ refunded: Type.Boolean() }, 'Whether it was there to be given back')

/** Limits of how much is taken in a time. */
export function addLimitRoutes(routes: Routes): Routes {
  const json = { admission: 'owner', produces: 'application/json', takesJson: true } as const
  return routes
    .at(`${BASE}/take`, { POST: { ...json, run: take } })
    .at(`${BASE}/refund`, { POST: { ...json, run: refund } })
}

async function take(exchange: Exchange, context: ApiContext): Promise<void> {
  const state = stateOf(exchange, context)
  const scanner = new JsonScanner(await bodyOf(exchange, context))
  const parts: LimitPart[] = []
  let requestId: string | undefined
  members(scanner, 'a take', {
    limits: () => {
      scanner.elements('a sequence', () => {
        if (parts.length >= MAX_PARTS) scanner.fail(`a take has at most ${String(MAX_PARTS)} limits`)
        parts.push(readPart(scanner, state))
      })
    },
    requestId: () => (requestId = checkId(scanner.string(), 'requestId')),
  })
  scanner.expectEnd()
  if (parts.length === 0) missing('limits')
  const names = new Set(parts.map(({ name, windowMs, align }) => JSON.stringify([name, windowMs, align])))
  if (names.size < parts.length) throw new ApiError('ERR_BAD_REQUEST', 'A limit is named twice.')
  const { ok, retryAfterMs, parts: limits } = await state.limits.take({ app: state.app, parts, requestId })
  const token = ok && requestId !== undefined ? { token: requestId } : {}
  sendJson(exchange.response, 200, JSON.stringify({ ok, retryAfterMs, limits, ...token }), exchange.common)
}

function readPart(scanner: JsonScanner, state: StateOfApp): LimitPart {
  let name: string | undefined
  let n = 1
  let max: number | undefined
  let windowMs: number | undefined
  let align: LimitAlign = 'sliding'
  members(scanner, 'a limit', {
    name: () => (name = scanner.string()),
    n: () => (n = readCount(scanner)),
    max: () => (max = readCount(scanner)),
    windowMs: () => (windowMs = readMs(scanner, 1, MAX_TTL_MS)),
    align: () => (align = readWord(scanner, ['epoch', 'sliding'])),
  })
  const part = {
    name: state.keyOf(name ?? missing('name'), true),
    n,
    max: max ?? missing('max'),
    windowMs: windowMs ?? missing('windowMs'),
    align,
  }
  if (part.n > part.max) scanner.fail('`n` is more than `max`, so it could never be taken')
  return part
}

function readCount(scanner: JsonScanner): number {
  const text = readValue(scanner)
  const count = /^[0-9]{1,15}$/.test(text) ? Number(text) : NaN
  return Number.isNaN(count) ? scanner.fail('expected a whole number from 0 on') : count
}

async function refund(exchange: Exchange, context: ApiContext): Promise<void> {
  const state = stateOf(exchange, context)
  const scanner = new JsonScanner(await bodyOf(exchange, context))
  let token: string | undefined
  members(scanner, 'a refund', { token: () => (token = checkId(scanner.string(), 'token')) })
  scanner.expectEnd()
  const refunded = await state.limits.refund(state.app, token ?? missing('token'))
  sendJson(exchange.response, 200, JSON.stringify({ refunded }), exchange.common)
}
