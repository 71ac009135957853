import { MillraceError } from '../core/index.js'

/** No node answers, or the connection broke off. What was under way may have been done or not. */
export class NodeUnreachableError extends MillraceError {
  readonly code: 'ERR_NODE_UNREACHABLE' | 'ERR_OUTCOME_UNKNOWN' = 'ERR_NODE_UNREACHABLE'
  /** Whether the request surely never reached a node. */
  readonly neverSent: boolean

  constructor(message: string, options: ErrorOptions & { readonly neverSent: boolean }) {
    super(message, options)
    this.neverSent = options.neverSent
  }
}

/**
 * The connection broke off while events were being published: all of them were stored, or none, and nobody knows which.
 * Publishing them again may store them twice. Ask for them first, or give them an id by which readers know the second.
 */
export class OutcomeUnknownError extends NodeUnreachableError {
  override readonly code = 'ERR_OUTCOME_UNKNOWN'
  /** What happened to the connection. */
  readonly reason: string

  constructor(
    cause: NodeUnreachableError | RequestRefusedError,
    unknown = 'whether the events were stored is not known',
  ) {
    super(`${cause.message}; ${unknown}`, { cause, neverSent: false })
    this.reason = cause.message
  }
}

/** The node refused a request: nothing was done. */
export class RequestRefusedError extends MillraceError {
  readonly code = 'ERR_REQUEST_REFUSED'
  readonly status: number
  /** The code that the node gave, such as `ERR_BAD_REQUEST`. */
  readonly wireCode: string
  /** What else the node said, such as the place of a fault in a query: `line`, `column`, `offset`, `reason`. */
  readonly details: Readonly<Record<string, unknown>>

  constructor(status: number, wireCode: string, message: string, details: Readonly<Record<string, unknown>> = {}) {
    super(message)
    this.status = status
    this.wireCode = wireCode
    this.details = details
  }
}

/** A lock is not held any more though it was not released. */
export class LockLostError extends MillraceError {
  readonly code = 'ERR_LOCK_LOST'

  constructor(name: string, reason: string) {
    super(`the lock ${name} is lost: ${reason}`)
  }
}

/** An answer that had begun ended with an error. */
export class AnswerFailedError extends MillraceError {
  readonly code = 'ERR_ANSWER_FAILED'
}

/** What is to be published cannot be written as JSON. Nothing was sent. */
export class PayloadError extends MillraceError {
  readonly code = 'ERR_JSON_INVALID'
}
