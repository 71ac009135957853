/** Every code the product can raise. Codes are API: add freely, rename only in a major release. */
export type ErrorCode =
  // core: values from outside
  | 'ERR_JSON_INVALID'
  | 'ERR_STREAM_ID_INVALID'
  | 'ERR_OFFSET_INVALID'
  | 'ERR_APP_ID_INVALID'
  | 'ERR_TAG_INVALID'
  // aql
  | 'ERR_AQL_SYNTAX'
  | 'ERR_AQL_FEATURE_NOT_ENABLED'
  | 'ERR_AQL_FEATURE_UNSUPPORTED'
  | 'ERR_AQL_TOO_COMPLEX'
  | 'ERR_AQL_RANGES_DIFFER'
  | 'ERR_ROUTE_INVALID'
  // config
  | 'ERR_CONFIG_INVALID'
  | 'ERR_CONFIG_UNREADABLE'
  | 'ERR_CONFIG_FIXED'
  | 'ERR_CONFIG_CHANGED'
  | 'ERR_CONFIG_DROPS_EVENTS'
  // storage
  | 'ERR_STORE_CLOSED'
  | 'ERR_STORE_LOCKED'
  | 'ERR_STORE_FORMAT'
  | 'ERR_STORE_MISSING'
  | 'ERR_STORE_CORRUPT'
  | 'ERR_STORE_FULL'
  | 'ERR_STORE_IO'
  | 'ERR_STORE_READ_ONLY'
  | 'ERR_STORE_WRONG_NODE'
  | 'ERR_TOPIC_UNKNOWN'
  | 'ERR_TOPIC_IN_USE'
  | 'ERR_DATA_DIRECTORY'
  | 'ERR_BACKUP_INVALID'
  | 'ERR_BACKUP_TARGET'
  | 'ERR_BACKUP_RUNNING'
  | 'ERR_EVENT_TOO_LARGE'
  | 'ERR_BOUNDS_OUT_OF_RANGE'
  // replication
  | 'ERR_SWARM_SETTING'
  | 'ERR_SWARM_LISTEN'
  | 'ERR_NETWORK_KEY'
  | 'ERR_SWARM_CLOSED'
  | 'ERR_MESSAGE_TOO_LARGE'
  | 'ERR_PEER_UNREACHABLE'
  | 'ERR_PEER_BUSY'
  | 'ERR_PEER_FAILED'
  // state
  | 'ERR_STATE_KEY_INVALID'
  | 'ERR_STATE_TOO_LARGE'
  | 'ERR_STATE_FORBIDDEN'
  | 'ERR_STATE_CONFLICT'
  | 'ERR_STATE_FULL'
  | 'ERR_STATE_UNREACHABLE'
  | 'ERR_STATE_TAKEN_OVER'
  | 'ERR_STATE_PROBE_FAILED'
  | 'ERR_STATE_PLUGIN_MISSING'
  | 'ERR_OFFSET_CONFLICT'
  | 'ERR_COUNTER_RANGE'
  | 'ERR_COUNTER_INVALID'
  | 'ERR_COMPACTED'
  // audit
  | 'ERR_AUDIT_UNAVAILABLE'
  | 'ERR_AUDIT_SINK'
  | 'ERR_LOCK_TIMEOUT'
  | 'ERR_LOCK_LOST'
  | 'ERR_LOCK_QUEUE_FULL'
  | 'ERR_FENCED'
  // node
  | 'ERR_ADDRESS_IN_USE'
  | 'ERR_ABORTED'
  // client and cli
  | 'ERR_USAGE'
  | 'ERR_INPUT_UNREADABLE'
  | 'ERR_OUTPUT_UNWRITABLE'
  | 'ERR_NODE_UNREACHABLE'
  | 'ERR_OUTCOME_UNKNOWN'
  | 'ERR_REQUEST_REFUSED'
  | 'ERR_ANSWER_FAILED'
  // node/api: what a request gets wrong
  | 'ERR_BAD_REQUEST'
  | 'ERR_MANIFEST_INVALID'
  | 'ERR_TOKEN_INVALID'
  | 'ERR_TOKEN_UNAUTHORIZED'
  | 'ERR_TOKEN_EXPIRED'
  | 'ERR_MISSING_AUTH_HEADER'
  | 'ERR_MISSING_TOKEN_PARAM'
  | 'ERR_UNSUPPORTED_AUTH_TYPE'
  | 'ERR_FORBIDDEN'
  | 'ERR_NOT_FOUND'
  | 'ERR_FILES_NOT_SUPPORTED'
  | 'ERR_METHOD_NOT_ALLOWED'
  | 'ERR_NOT_ACCEPTABLE'
  | 'ERR_REQUEST_TIMEOUT'
  | 'ERR_PAYLOAD_TOO_LARGE'
  | 'ERR_UNSUPPORTED_MEDIA_TYPE'
  | 'ERR_UPGRADE_REQUIRED'
  | 'ERR_HEADERS_TOO_LARGE'
  | 'ERR_SERVICE_OVERLOADED'
  | 'ERR_SHUTTING_DOWN'

/** Base of everything thrown on purpose. Branch on `code`; `message` is for people and may change. */
export abstract class MillraceError extends Error {
  abstract readonly code: ErrorCode

  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
  }

  /** What programs need to know beside the code; goes into answers as it is. */
  get wireMembers(): Readonly<Record<string, unknown>> | undefined {
    return undefined
  }
}

/** The caller's own signal ended the work. */
export class AbortedError extends MillraceError {
  readonly code = 'ERR_ABORTED'
}
