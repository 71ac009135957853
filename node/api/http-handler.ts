import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { AbortedError } from '../../core/index.js'
import { isLoopback } from './access.js'
import { authorise, carriesToken } from './authorise.js'
import type { ApiContext } from './context.js'
import { ApiError } from './errors.js'
import { corsHeaders, discardRest, sendError, sendText } from './exchange.js'
import { checkAccept, checkJsonBody } from './negotiate.js'
import type { Action, Resource, Routes } from './routes.js'
import { watchRest } from './stalled-reader.js'
import type { TokenHolder } from './tokens.js'

const ALLOWED_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE']
const ALLOWED_HEADERS = ['authorization', 'accept', 'content-type', 'last-event-id']

/** From where each admission does without a token. */
const SPARES_TOKEN: Readonly<Record<Exclude<Action['admission'], 'none'>, 'local' | 'unix' | undefined>> = {
  app: undefined,
  local: 'local',
  insider: 'local',
  manager: 'unix',
  operator: 'unix',
  owner: 'unix',
}
/** Headers beside these that the routes of the state know. */
const STATE_PATH = /^\/api\/millrace\/v1\/(state\/|events\/publish$)/
const STATE_HEADERS = ['if-match', 'if-none-match', 'idempotency-key', 'millrace-ttl']

/** Whether connections come from a Unix socket, where the file's mode decides who may ask. */
export type Transport = 'tcp' | 'unix'

/** Answers requests over HTTP. */
export class HttpHandler {
  readonly #context: ApiContext
  readonly #routes: Routes

  constructor(context: ApiContext, routes: Routes) {
    this.#context = context
    this.#routes = routes
  }

  /** Never throws and never rejects: whatever goes wrong becomes the answer. */
  handle(request: IncomingMessage, response: ServerResponse, transport: Transport): void {
    const { counters } = this.#context
    counters.httpRequests += 1
    // Errors of a connection end up here; its `close` event, which the handlers know, always follows.
    request.on('error', ignore)
    response.on('error', ignore)
    const { origin } = request.headers
    let common = corsHeaders(origin)
    try {
      if (!isAdmitted(this.#context, request, transport)) {
        common = []
        throw new ApiError(
          'ERR_FORBIDDEN',
          `Requests of this ${transport === 'tcp' ? 'host or origin' : 'origin'} are refused.`,
        )
      }
      checkHost(request)
      if (request.method === 'OPTIONS' && origin !== undefined) {
        answerPreflight(request, response, origin)
        return
      }
      void this.#answer(request, response, transport, common)
    } catch (error) {
      this.#refuse(request, response, error, common)
    }
  }

  async #answer(
    request: IncomingMessage,
    response: ServerResponse,
    transport: Transport,
    common: readonly string[],
  ): Promise<void> {
    const lease = this.#context.budget.lease()
    try {
      const { path, query } = splitUrl(request.url ?? '/')
      const action = this.#actionFor(request, response, path)
      const holder = this.#holderFor(request, action, query, transport)
      if (action.produces !== undefined) checkAccept(request.headers.accept, [action.produces].flat())
      if (action.takesJson) checkJsonBody(request.headers['content-type'], request.headers['content-encoding'])
      if (this.#context.closing.aborted) throw new ApiError('ERR_SHUTTING_DOWN', 'the node is stopping')
      const isOperator = transport === 'unix' || holder?.mode === 'operator'
      await action.run({ request, response, path, query, common, holder, isOperator, lease }, this.#context)
      watchRest(response, this.#context.timers.stallMs, this.#countCut)
      discardRest(request)
      const { httpStatuses } = this.#context.counters
      httpStatuses.set(response.statusCode, (httpStatuses.get(response.statusCode) ?? 0) + 1)
    } catch (error) {
      this.#refuse(request, response, error, common)
    } finally {
      lease.release()
      if (this.#context.closing.aborted) endAfter(request, response)
    }
  }

  readonly #countCut = (): void => {
    this.#context.counters.readersCut += 1
  }

  #actionFor(request: IncomingMessage, response: ServerResponse, path: string): Action {
    const resource = this.#routes.find(path)
    if (resource === undefined) {
      throw new ApiError('ERR_NOT_FOUND', 'The requested resource could not be found.')
    }
    const method = request.method === 'HEAD' ? 'GET' : (request.method ?? '')
    const action = resource.get(method)
    if (action === undefined) {
      response.setHeader('allow', methodsOf(resource))
      throw new ApiError('ERR_METHOD_NOT_ALLOWED', 'Method not supported.')
    }
    return action
  }

  #holderFor(
    { headers, socket }: IncomingMessage,
    { admission }: Action,
    query: string,
    transport: Transport,
  ): TokenHolder | undefined {
    const { tokens } = this.#context.options
    if (admission === 'none') return undefined
    if (admission === 'operator' && transport !== 'unix') {
      throw new ApiError('ERR_FORBIDDEN', 'This is for operators: ask over the Unix socket of the node.')
    }
    const mayDoWithout = SPARES_TOKEN[admission] === 'local' ? isLocal(socket, transport) : transport === 'unix'
    const isExempt = mayDoWithout && SPARES_TOKEN[admission] !== undefined
    if (isExempt && !carriesToken(query, headers.authorization)) return undefined
    const holder = authorise(tokens, query, headers.authorization)
    if (isExempt || holder.mode === 'operator' || (admission !== 'manager' && admission !== 'insider')) return holder
    throw new ApiError(
      'ERR_FORBIDDEN',
      "This is for operators: ask over the Unix socket of the node, or with an operator's token.",
    )
  }

  #refuse(request: IncomingMessage, response: ServerResponse, error: unknown, common: readonly string[]): void {
    if (error instanceof AbortedError) {
      response.destroy()
      return
    }
    const isInternal = sendError(request, response, error, common)
    const { httpStatuses } = this.#context.counters
    httpStatuses.set(response.statusCode, (httpStatuses.get(response.statusCode) ?? 0) + 1)
    // The path only: query strings carry tokens.
    if (isInternal)
      this.#context.options.logger.error({ err: error, path: splitUrl(request.url ?? '').path }, 'request failed')
  }
}

function methodsOf(resource: Resource): string {
  return [...resource.keys()].flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])).join(', ')
}

/** Whether `Host` and `Origin` let the request in; on a Unix socket the host says nothing. */
export function isAdmitted({ guard }: ApiContext, { headers }: IncomingMessage, transport: Transport): boolean {
  const host = headers.host ?? headers[':authority']?.toString()
  return (transport === 'unix' || guard.admitsHost(host)) && guard.admitsOrigin(headers.origin)
}

/** HTTP/1.1 demands the header (RFC 9112, section 3.2); HTTP/2 has it as `:authority`. @throws ApiError */
export function checkHost({ headers, httpVersion }: IncomingMessage): void {
  if (headers.host === undefined && httpVersion === '1.1') {
    throw new ApiError('ERR_BAD_REQUEST', 'The header Host is missing.')
  }
}

/** Path and query of a request target. A trailing slash is dropped, and so are scheme and host of the absolute form. */
export function splitUrl(url: string): { readonly path: string; readonly query: string } {
  const target = url.startsWith('/') ? url : url.replace(/^[a-z]+:\/\/[^/?]*/i, '')
  const mark = target.indexOf('?')
  const path = mark < 0 ? target : target.slice(0, mark)
  return {
    path: path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path,
    query: mark < 0 ? '' : target.slice(mark + 1),
  }
}

/** At shutdown a kept-alive connection ends with its answer. */
function endAfter({ socket, httpVersionMajor }: IncomingMessage, response: ServerResponse): void {
  // The sessions of HTTP/2 say goodbye themselves.
  if (httpVersionMajor > 1) return
  if (response.writableFinished) socket.end()
  else response.on('finish', () => socket.end())
}

function isLocal({ remoteAddress }: Socket, transport: Transport): boolean {
  return transport === 'unix' || (remoteAddress !== undefined && isLoopback(remoteAddress))
}

function answerPreflight(request: IncomingMessage, response: ServerResponse, origin: string): void {
  const method = request.headers['access-control-request-method']
  const names = request.headers['access-control-request-headers'] ?? ''
  const isState = STATE_PATH.test(splitUrl(request.url ?? '/').path)
  const allowed = isState ? [...ALLOWED_HEADERS, ...STATE_HEADERS] : ALLOWED_HEADERS
  const foreign = names
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '' && !allowed.includes(name))
  const refusal =
    method === undefined || !ALLOWED_METHODS.includes(method)
      ? 'request-method'
      : foreign.length > 0
        ? 'request-headers'
        : undefined
  if (refusal !== undefined) {
    const text = `CORS request forbidden: ${refusal} not allowed`
    sendText(response, 403, 'text/plain; charset=utf-8', text, corsHeaders(origin))
    return
  }
  response.writeHead(200, [
    ...corsHeaders(origin),
    'access-control-allow-methods',
    ALLOWED_METHODS.join(', '),
    'access-control-allow-headers',
    allowed.join(', '),
    'content-length',
    '0',
  ])
  response.end()
}

function ignore(): void {
  // Nothing to do; without a listener the process would end.
}
