import { MillraceError } from '../core/index.js'
import { renderProblem, type Problem } from './problem.js'

/** The configuration holds values that are refused; `problems` lists all of them. */
export class ConfigError extends MillraceError {
  readonly code = 'ERR_CONFIG_INVALID'
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super(problems.map(renderProblem).join('\n'))
    this.problems = problems
  }
}

/** The configuration file cannot be read at all. */
export class ConfigUnreadableError extends MillraceError {
  readonly code = 'ERR_CONFIG_UNREADABLE'
}

/** The configuration cannot be changed from here: there is no file, or it must not be written. */
export class ConfigFixedError extends MillraceError {
  readonly code = 'ERR_CONFIG_FIXED'
}

/** The file is no longer what the change was made from. */
export class ConfigChangedError extends MillraceError {
  readonly code = 'ERR_CONFIG_CHANGED'
}
