import { MillraceError, type ErrorCode } from '../../core/index.js'

/** A request that the API itself refuses. The message is complete: it goes to the client as it is. */
export class ApiError extends MillraceError {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** How an error of one code looks to clients. */
interface WireForm {
  readonly status: number
  /** The code of the Actyx API, or one of ours where that has none. */
  readonly code: string
  /** Stands before the message over HTTP: clients of the Actyx API know errors by it. */
  readonly prefix?: string
  /** Replaces the message: what went wrong inside is not the client's business. */
  readonly fixed?: string
  /**
   * Over WebSocket: `shape` is kind `badRequest`; `service` is kind `serviceError` with the message as over HTTP, and
   * `bare` the same without the prefix.
   */
  readonly socket: 'shape' | 'service' | 'bare'
}

const INVALID = 'Invalid request. '
const SHAPE: WireForm = { status: 400, code: 'ERR_BAD_REQUEST', prefix: INVALID, socket: 'shape' }
const INTERNAL: WireForm = { status: 500, code: 'ERR_INTERNAL', fixed: 'Internal server error.', socket: 'service' }
const UNABLE: WireForm = {
  status: 503,
  code: 'ERR_SERVICE_OVERLOADED',
  prefix: 'Service overloaded. ',
  socket: 'bare',
}
const ENDING: WireForm = {
  status: 503,
  code: 'ERR_SHUTTING_DOWN',
  fixed: 'Service shutting down.',
  socket: 'service',
}

/** A refusal of the API's own: its code is the wire's, its message complete. */
function own(status: number, code: ErrorCode): WireForm {
  return { status, code, socket: 'service' }
}

/** Every code of the product → its HTTP status and code on the wire. A new code without an entry does not compile. */
export const WIRE_FORMS: Readonly<Record<ErrorCode, WireForm>> = {
  ERR_JSON_INVALID: SHAPE,
  ERR_STREAM_ID_INVALID: SHAPE,
  ERR_OFFSET_INVALID: SHAPE,
  ERR_APP_ID_INVALID: SHAPE,
  ERR_TAG_INVALID: SHAPE,
  ERR_AQL_SYNTAX: { ...SHAPE, socket: 'service' },
  ERR_AQL_FEATURE_NOT_ENABLED: { ...SHAPE, socket: 'bare' },
  ERR_AQL_FEATURE_UNSUPPORTED: { status: 418, code: 'ERR_UNSUPPORTED_FEATURE', socket: 'service' },
  ERR_AQL_TOO_COMPLEX: { ...SHAPE, socket: 'service' },
  ERR_AQL_RANGES_DIFFER: { ...SHAPE, socket: 'service' },
  ERR_ROUTE_INVALID: { ...SHAPE, socket: 'service' },
  ERR_CONFIG_INVALID: own(422, 'ERR_CONFIG_INVALID'),
  ERR_CONFIG_UNREADABLE: own(422, 'ERR_CONFIG_UNREADABLE'),
  ERR_CONFIG_FIXED: own(409, 'ERR_CONFIG_FIXED'),
  ERR_CONFIG_CHANGED: own(409, 'ERR_CONFIG_CHANGED'),
  ERR_CONFIG_DROPS_EVENTS: own(409, 'ERR_CONFIG_DROPS_EVENTS'),
  ERR_STORE_CLOSED: ENDING,
  ERR_STORE_LOCKED: INTERNAL,
  ERR_STORE_FORMAT: INTERNAL,
  ERR_STORE_MISSING: INTERNAL,
  ERR_STORE_CORRUPT: INTERNAL,
  ERR_STORE_FULL: UNABLE,
  ERR_STORE_IO: UNABLE,
  ERR_STORE_READ_ONLY: UNABLE,
  ERR_STORE_WRONG_NODE: INTERNAL,
  ERR_TOPIC_UNKNOWN: own(404, 'ERR_TOPIC_UNKNOWN'),
  ERR_TOPIC_IN_USE: own(409, 'ERR_TOPIC_IN_USE'),
  ERR_DATA_DIRECTORY: INTERNAL,
  ERR_BACKUP_INVALID: INTERNAL,
  ERR_BACKUP_TARGET: INTERNAL,
  ERR_BACKUP_RUNNING: own(409, 'ERR_BACKUP_RUNNING'),
  ERR_EVENT_TOO_LARGE: { status: 413, code: 'ERR_PAYLOAD_TOO_LARGE', socket: 'service' },
  ERR_BOUNDS_OUT_OF_RANGE: { ...SHAPE, socket: 'bare' },
  ERR_SWARM_SETTING: INTERNAL,
  ERR_SWARM_LISTEN: INTERNAL,
  ERR_NETWORK_KEY: INTERNAL,
  ERR_SWARM_CLOSED: ENDING,
  ERR_MESSAGE_TOO_LARGE: INTERNAL,
  ERR_PEER_UNREACHABLE: INTERNAL,
  ERR_PEER_BUSY: INTERNAL,
  ERR_PEER_FAILED: INTERNAL,
  ERR_STATE_KEY_INVALID: own(400, 'ERR_STATE_KEY_INVALID'),
  ERR_STATE_TOO_LARGE: own(413, 'ERR_STATE_TOO_LARGE'),
  ERR_STATE_FORBIDDEN: own(403, 'ERR_STATE_FORBIDDEN'),
  ERR_STATE_CONFLICT: own(412, 'ERR_STATE_CONFLICT'),
  ERR_STATE_FULL: own(507, 'ERR_STATE_FULL'),
  ERR_STATE_UNREACHABLE: own(503, 'ERR_STATE_UNREACHABLE'),
  ERR_STATE_TAKEN_OVER: own(503, 'ERR_STATE_TAKEN_OVER'),
  ERR_STATE_PROBE_FAILED: INTERNAL,
  ERR_STATE_PLUGIN_MISSING: INTERNAL,
  ERR_OFFSET_CONFLICT: own(409, 'ERR_OFFSET_CONFLICT'),
  ERR_COUNTER_RANGE: own(409, 'ERR_COUNTER_RANGE'),
  ERR_COUNTER_INVALID: own(409, 'ERR_COUNTER_INVALID'),
  ERR_COMPACTED: own(410, 'ERR_COMPACTED'),
  ERR_AUDIT_UNAVAILABLE: own(503, 'ERR_AUDIT_UNAVAILABLE'),
  ERR_AUDIT_SINK: INTERNAL,
  ERR_LOCK_TIMEOUT: own(409, 'ERR_LOCK_TIMEOUT'),
  ERR_LOCK_LOST: own(409, 'ERR_LOCK_LOST'),
  ERR_LOCK_QUEUE_FULL: own(503, 'ERR_LOCK_QUEUE_FULL'),
  ERR_FENCED: own(409, 'ERR_FENCED'),
  ERR_ADDRESS_IN_USE: INTERNAL,
  ERR_ABORTED: ENDING,
  ERR_USAGE: INTERNAL,
  ERR_INPUT_UNREADABLE: INTERNAL,
  ERR_OUTPUT_UNWRITABLE: INTERNAL,
  ERR_NODE_UNREACHABLE: INTERNAL,
  ERR_OUTCOME_UNKNOWN: own(504, 'ERR_OUTCOME_UNKNOWN'),
  ERR_REQUEST_REFUSED: INTERNAL,
  ERR_ANSWER_FAILED: INTERNAL,
  ERR_BAD_REQUEST: { ...SHAPE, socket: 'service' },
  ERR_MANIFEST_INVALID: { ...own(400, 'ERR_MANIFEST_INVALID'), prefix: 'Invalid manifest. ' },
  ERR_TOKEN_INVALID: own(400, 'ERR_TOKEN_INVALID'),
  ERR_TOKEN_UNAUTHORIZED: own(401, 'ERR_TOKEN_UNAUTHORIZED'),
  ERR_TOKEN_EXPIRED: own(401, 'ERR_TOKEN_EXPIRED'),
  ERR_MISSING_AUTH_HEADER: own(401, 'ERR_MISSING_AUTH_HEADER'),
  ERR_MISSING_TOKEN_PARAM: own(401, 'ERR_MISSING_TOKEN_PARAM'),
  ERR_UNSUPPORTED_AUTH_TYPE: own(401, 'ERR_UNSUPPORTED_AUTH_TYPE'),
  ERR_FORBIDDEN: own(403, 'ERR_FORBIDDEN'),
  ERR_NOT_FOUND: own(404, 'ERR_NOT_FOUND'),
  ERR_FILES_NOT_SUPPORTED: own(404, 'ERR_FILES_NOT_SUPPORTED'),
  ERR_METHOD_NOT_ALLOWED: own(405, 'ERR_METHOD_NOT_ALLOWED'),
  ERR_NOT_ACCEPTABLE: own(406, 'ERR_NOT_ACCEPTABLE'),
  ERR_REQUEST_TIMEOUT: own(408, 'ERR_REQUEST_TIMEOUT'),
  ERR_PAYLOAD_TOO_LARGE: own(413, 'ERR_PAYLOAD_TOO_LARGE'),
  ERR_UNSUPPORTED_MEDIA_TYPE: own(415, 'ERR_UNSUPPORTED_MEDIA_TYPE'),
  ERR_UPGRADE_REQUIRED: own(426, 'ERR_UPGRADE_REQUIRED'),
  ERR_HEADERS_TOO_LARGE: own(431, 'ERR_HEADERS_TOO_LARGE'),
  ERR_SERVICE_OVERLOADED: UNABLE,
  ERR_SHUTTING_DOWN: ENDING,
}

/** An error as clients see it over HTTP. */
export interface ErrorReply {
  readonly status: number
  readonly code: string
  readonly message: string
  /** Further members of the body. */
  readonly details: Readonly<Record<string, unknown>> | undefined
}

export function toErrorReply(error: unknown): ErrorReply {
  const { status, code, prefix = '', fixed } = formOf(error)
  const details = error instanceof MillraceError ? error.wireMembers : undefined
  return { status, code, message: fixed ?? prefix + messageOf(error), details }
}

/** The member `kind` of a WebSocket error. */
export type ErrorKind =
  | { readonly type: 'badRequest'; readonly message: string }
  | { readonly type: 'serviceError'; readonly value: string }
  | { readonly type: 'unknownEndpoint'; readonly endpoint: string; readonly valid_endpoints: readonly string[] }
  | { readonly type: 'internalError' }

export function toErrorKind(error: unknown): ErrorKind {
  const form = formOf(error)
  if (form === INTERNAL) return { type: 'internalError' }
  const { prefix = '', fixed, socket } = form
  const message = fixed ?? messageOf(error)
  if (socket === 'shape') return { type: 'badRequest', message }
  return { type: 'serviceError', value: socket === 'bare' ? message : prefix + message }
}

/** Whether the error says that something is wrong inside the daemon, so that its log should name it. */
export function isInternal(error: unknown): boolean {
  return formOf(error) === INTERNAL
}

function formOf(error: unknown): WireForm {
  return error instanceof MillraceError ? WIRE_FORMS[error.code] : INTERNAL
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : ''
}
