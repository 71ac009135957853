import { NodeUnreachableError, RequestRefusedError } from './errors.js'

/** The member `kind` of an error that comes over a WebSocket. */
export interface ErrorKind {
  readonly type: string
  readonly message?: string
  readonly value?: string
}

/** How refusals begin that are no matter of load, and the status that they have over HTTP. */
const REFUSALS: readonly (readonly [beginning: string, status: number, wireCode: string])[] = [
  ['Invalid request.', 400, 'ERR_BAD_REQUEST'],
  ['Query bounds out of range', 400, 'ERR_BAD_REQUEST'],
  ['The query uses beta features', 400, 'ERR_BAD_REQUEST'],
  ['Feature `', 418, 'ERR_UNSUPPORTED_FEATURE'],
  ['Payload too large', 413, 'ERR_PAYLOAD_TOO_LARGE'],
  ['Service shutting down', 503, 'ERR_SHUTTING_DOWN'],
]

/** An error of a WebSocket as it would be over HTTP, as near as its text tells. */
export function refusalOf(kind: ErrorKind): RequestRefusedError {
  const message = kind.message ?? kind.value ?? kind.type
  switch (kind.type) {
    case 'badRequest':
      return new RequestRefusedError(400, 'ERR_BAD_REQUEST', message)
    case 'unknownEndpoint':
      return new RequestRefusedError(404, 'ERR_NOT_FOUND', message)
    case 'internalError':
      return new RequestRefusedError(500, 'ERR_INTERNAL', message)
    default: {
      const known = REFUSALS.find(([beginning]) => message.startsWith(beginning))
      const [, status, wireCode] = known ?? ['', 503, 'ERR_SERVICE_OVERLOADED']
      return new RequestRefusedError(status, wireCode, message)
    }
  }
}

/** What a node says at the end of an answer when it is not the query's fault. */
const PASSING = /^Service (shutting down|overloaded)\./

/** The error of an answer's last line when asking again may help. */
export function passingFailure(message: string): RequestRefusedError | undefined {
  if (!PASSING.test(message)) return undefined
  const wireCode = message.startsWith('Service shutting') ? 'ERR_SHUTTING_DOWN' : 'ERR_SERVICE_OVERLOADED'
  return new RequestRefusedError(503, wireCode, message)
}

/** Statuses with which a node, or a proxy before it, says that it cannot now. */
const LATER: readonly number[] = [408, 429, 502, 503, 504]

/** Whether asking again may help. */
export function mayPass(error: unknown): error is NodeUnreachableError | RequestRefusedError {
  if (error instanceof RequestRefusedError) return LATER.includes(error.status)
  return error instanceof NodeUnreachableError
}
