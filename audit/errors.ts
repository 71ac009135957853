import { MillraceError } from '../core/index.js'

/** What was asked for has to be written down before it is done, and that failed. Nothing was done. */
export class AuditUnavailableError extends MillraceError {
  readonly code = 'ERR_AUDIT_UNAVAILABLE'

  constructor(sink: string, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    super(`nothing was done, since the audit could not take note of it in ${sink}: ${reason}`, { cause })
  }
}

/** A sink did not take a batch. */
export class AuditSinkError extends MillraceError {
  readonly code = 'ERR_AUDIT_SINK'
}
