import { MillraceError } from '../core/index.js'

/** No node answers, or the connection broke off. What was under way may have been done or not. */
export class NodeUnreachableError extends MillraceError {
  readonly code = 'ERR_NODE_UNREACHABLE'
  /** Whether the request surely never reached a node. */
  readonly neverSent: boolean

  constructor(message: string, options: ErrorOptions & { readonly neverSent: boolean }) {
    super(message, options)
    this.neverSent = options.neverSent
  }
}

/** The node refused a request: nothing was done. */
export class RequestRefusedError extends MillraceError {
  readonly code = 'ERR_REQUEST_REFUSED'
  readonly status: number
  /** The code that the node gave, such as `ERR_BAD_REQUEST`. */
  readonly wireCode: string

  constructor(status: number, wireCode: string, message: string) {
    super(message)
    this.status = status
    this.wireCode = wireCode
  }
}

/** An answer that had begun ended with an error. */
export class AnswerFailedError extends MillraceError {
  readonly code = 'ERR_ANSWER_FAILED'
}
