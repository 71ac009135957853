import { Type } from '@sinclair/typebox'
import { JsonScanner } from '../../core/index.js'
import { MIN_LEASE_MS, type Fence, type LockGrant, type LockMode, type LockReport } from '../../state/index.js'
import type { StateOfApp } from '../state/state-service.js'
import { streamAnswer } from './answer.js'
import { NDJSON_FORM } from './answer-form.js'
import type { ApiContext } from './context.js'
import { ApiError } from './errors.js'
import { sendJson, type Exchange } from './exchange.js'
import { exactly, integer } from './reply-schemas.js'
import type { Routes } from './routes.js'
import { bodyOf, stateOf } from './state-routes.js'
import { checkId, MAX_TTL_MS, missing, readMs, readWord } from './state-values.js'
import { members, readVersion } from './txn-body.js'
import { countIn } from './url-parameters.js'
import { whileWanted } from './while-wanted.js'

const BASE = '/api/millrace/v1/state/locks'

/** Longest wait of one request, milliseconds: connections that are silent for longer are cut by what lies between. */
const MAX_WAIT_MS = 240_000

/** Locks of a page. */
const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1000

const NO_STORE: readonly string[] = ['cache-control', 'no-store']

const FenceNumber = Type.String({ pattern: '^[0-9]+$', description: 'Higher than that of every grant before' })
const Mode = Type.Union([Type.Literal('read'), Type.Literal('write')], { description: 'Shared with readers, or alone' })

/** Somebody who has a lock. */
export const GrantReply = exactly(
  {
    name: Type.String({ description: 'With its namespace' }),
    fence: FenceNumber,
    mode: Mode,
    owner: Type.String(),
    expiresAt: integer('About when it ends, milliseconds since 1970'),
  },
  'A lock that somebody has',
)

const LockReply = exactly(
  {
    name: Type.String(),
    holders: Type.Array(GrantReply),
    waiters: Type.Array(
      exactly({ owner: Type.String(), mode: Mode, waitingMs: integer('') }, 'Waits for the holders'),
      { description: 'In the order in which they get it' },
    ),
  },
  'Who has a lock, and who waits for it',
)

export const LocksReply = exactly({ locks: Type.Array(LockReply) }, 'Locks that somebody has or waits for')

export const ReleaseReply = exactly({ released: Type.Boolean() }, 'Whether that grant was still there')

/** Locks with leases and fences. */
export function addLockRoutes(routes: Routes): Routes {
  return routes.below(BASE, {
    GET: { admission: 'owner', produces: 'application/json', run: list },
    POST: { admission: 'owner', takesJson: true, run: act },
  })
}

async function list(exchange: Exchange, context: ApiContext): Promise<void> {
  const { path, query, response, common } = exchange
  const state = stateOf(exchange, context)
  const parameters = new URLSearchParams(query)
  const limit = countIn(parameters, 'limit', DEFAULT_LIMIT)
  if (limit < 1 || limit > MAX_LIMIT) {
    throw new ApiError('ERR_BAD_REQUEST', `parameter \`limit\` must be from 1 to ${String(MAX_LIMIT)}`)
  }
  const locks = await locksOf(state, path, parameters, limit)
  sendJson(response, 200, JSON.stringify({ locks: locks.map(toReply) }), [...NO_STORE, ...common])
}

/** All below a prefix, or the one that the path names. */
async function locksOf(
  state: StateOfApp,
  path: string,
  parameters: URLSearchParams,
  limit: number,
): Promise<readonly LockReport[]> {
  if (path === BASE) {
    const after = parameters.get('after')
    const prefix = state.prefixOf(parameters.get('prefix') ?? '')
    return state.locks.list(prefix, after === null ? undefined : state.keyOf(after, false), limit)
  }
  const found = await state.locks.find(state.keyOf(decoded(path.slice(BASE.length + 1)), false))
  return found === undefined ? [] : [found]
}

async function act(exchange: Exchange, context: ApiContext): Promise<void> {
  const [, name = '', action] = /^\/(.+)\/(acquire|extend|release)$/.exec(exchange.path.slice(BASE.length)) ?? []
  if (action === undefined) throw new ApiError('ERR_NOT_FOUND', 'The path must end in /acquire, /extend or /release.')
  const state = stateOf(exchange, context)
  const lock = state.keyOf(decoded(name), true)
  const wish = parseWish(await bodyOf(exchange, context))
  if (action === 'acquire') return acquire(exchange, context, state, lock, wish)
  const fence: Fence = { lock, fence: wish.fence ?? missing('fence') }
  const { response, common } = exchange
  if (action === 'release') {
    sendJson(response, 200, JSON.stringify({ released: await state.locks.release(fence) }), common)
  } else {
    const grant = await state.locks.extend(fence, wish.ttlMs ?? missing('ttlMs'))
    sendJson(response, 200, JSON.stringify(toGrantReply(grant)), common)
  }
}

/** A grant whose answer cannot be told is taken back. */
async function acquire(
  exchange: Exchange,
  context: ApiContext,
  { app, locks }: StateOfApp,
  name: string,
  wish: Wish,
): Promise<void> {
  const { response, common } = exchange
  const { ttlMs = missing('ttlMs'), waitMs = 0, mode = 'write', owner = app, bound = 'lease', requestId } = wish
  const request = { app, name, ttlMs, mode, owner, requestId }
  await whileWanted(exchange, context, async (signal) => {
    const grant = await locks.acquire(request, waitMs, signal)
    response.once('close', () => {
      const isLost = bound === 'connection' ? !context.closing.aborted : !response.writableFinished
      if (isLost) void locks.takeBack(grant)
    })
    exchange.lease.release()
    if (bound === 'lease') {
      sendJson(response, 200, JSON.stringify(toGrantReply(grant)), common)
      return
    }
    const { timers, counters } = context
    const lines = linesOf(grant, (given) => locks.whileHeld(given, signal))
    await streamAnswer(response, lines, NDJSON_FORM, common, timers, signal, () => {
      counters.readersCut += 1
    })
  })
}

/** The grant, and that it has ended. */
async function* linesOf(grant: LockGrant, end: (grant: LockGrant) => Promise<void>): AsyncGenerator<Uint8Array> {
  yield Buffer.from(`${JSON.stringify({ type: 'granted', ...toGrantReply(grant) })}\n`)
  await end(grant)
  yield Buffer.from('{"type":"ended"}\n')
}

/** What the body of a request about a lock may say. */
interface Wish {
  readonly ttlMs?: number
  readonly waitMs?: number
  readonly mode?: LockMode
  readonly owner?: string
  readonly bound?: 'lease' | 'connection'
  readonly fence?: number
  readonly requestId?: string
}

/** @throws JsonError, ApiError */
function parseWish(body: Uint8Array): Wish {
  const scanner = new JsonScanner(body)
  const wish: { -readonly [K in keyof Wish]: Wish[K] } = {}
  members(scanner, 'a request about a lock', {
    ttlMs: () => (wish.ttlMs = readMs(scanner, MIN_LEASE_MS, MAX_TTL_MS)),
    waitMs: () => (wish.waitMs = readMs(scanner, 0, MAX_WAIT_MS)),
    mode: () => (wish.mode = readWord(scanner, ['read', 'write'])),
    owner: () => (wish.owner = checkId(scanner.string(), 'owner')),
    bound: () => (wish.bound = readWord(scanner, ['lease', 'connection'])),
    fence: () => (wish.fence = readVersion(scanner)),
    requestId: () => (wish.requestId = checkId(scanner.string(), 'requestId')),
  })
  scanner.expectEnd()
  return wish
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    throw new ApiError('ERR_BAD_REQUEST', 'The name of the lock is not percent-encoded UTF-8.')
  }
}

function toGrantReply({ fence, ...grant }: LockGrant) {
  return { ...grant, fence: String(fence) }
}

function toReply({ holders, ...lock }: LockReport) {
  return { ...lock, holders: holders.map(toGrantReply) }
}
