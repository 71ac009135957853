import { MillraceError } from '../core/index.js'

/** The command line cannot be understood; exit code 2. */
export class UsageError extends MillraceError {
  readonly code = 'ERR_USAGE'
}
