import { MillraceError } from '../core/index.js'
import { drawPosition, locate } from './position.js'

/** A query text is malformed: syntax, an impossible literal, something in a place where it cannot be. */
export class AqlSyntaxError extends MillraceError {
  readonly code = 'ERR_AQL_SYNTAX'
  /** UTF-16 units from the start of the text. */
  readonly offset: number
  /** From 1. */
  readonly line: number
  /** From 1, in characters (code points). */
  readonly column: number
  /** What would be right, or what is wrong; the last line of the message. */
  readonly reason: string

  constructor(reason: string, text: string, offset: number) {
    super(drawPosition(reason, text, offset))
    const { line, column } = locate(text, offset)
    this.offset = offset
    this.line = line
    this.column = column
    this.reason = reason
  }
}

/** A query is well formed but asks for more than the limits allow. */
export class AqlTooComplexError extends MillraceError {
  readonly code = 'ERR_AQL_TOO_COMPLEX'
}

/** Branches of a tag expression ask for different ranges of time or of event keys. */
export class AqlRangesDifferError extends MillraceError {
  readonly code = 'ERR_AQL_RANGES_DIFFER'
}

/** A beta feature is used without having been enabled in the text. */
export class AqlFeatureNotEnabledError extends MillraceError {
  readonly code = 'ERR_AQL_FEATURE_NOT_ENABLED'
}

/** A feature is used that the endpoint does not offer. */
export class AqlUnsupportedFeatureError extends MillraceError {
  readonly code = 'ERR_AQL_FEATURE_UNSUPPORTED'
}

/** A fault found while the syntax tree is built; {@link AqlSyntaxError} adds the text around it. */
export class LiteralFault extends Error {
  readonly offset: number

  constructor(message: string, offset: number) {
    super(message)
    this.offset = offset
  }
}
