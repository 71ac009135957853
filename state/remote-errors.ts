import { MillraceError } from '../core/index.js'

/** What the state is kept in does not answer, or not as it should. Nothing was changed; later it may work. */
export class StateUnreachableError extends MillraceError {
  readonly code = 'ERR_STATE_UNREACHABLE'

  constructor(backend: string, cause: unknown) {
    super(`the state in ${backend} cannot be reached: ${reasonOf(cause)}`, { cause })
  }
}

/** A change was sent and no answer came. Asking again with the same request id tells, when the backend is back. */
export class StateOutcomeError extends MillraceError {
  readonly code = 'ERR_OUTCOME_UNKNOWN'

  constructor(backend: string, cause: unknown) {
    super(
      `${backend} did not say whether the change is done: ${reasonOf(cause)}; ask again with the same request id to find out`,
      { cause },
    )
  }
}

/** Another process has written the records of this node, or newer ones were lost; going on could give a version twice. */
export class StateTakenOverError extends MillraceError {
  readonly code = 'ERR_STATE_TAKEN_OVER'

  constructor(backend: string) {
    super(
      `the state in ${backend} is not as this node has left it: another process with the same node id writes there, or a failover has lost commits. Restart the node when only one of them is left`,
    )
  }
}

/** More changes wait than may; the backend is slow or away. Nothing was changed. */
export class StateBusyError extends MillraceError {
  readonly code = 'ERR_SERVICE_OVERLOADED'

  constructor(backend: string) {
    super(`too many changes wait for ${backend}; try again later`)
  }
}

/** The backend does not do what a state needs. */
export class StateProbeError extends MillraceError {
  readonly code = 'ERR_STATE_PROBE_FAILED'
  /** What was looked at. */
  readonly probe: string

  constructor(backend: string, probe: string, found: string) {
    super(`${backend} cannot keep the state, the probe ${probe} failed: ${found}`)
    this.probe = probe
  }

  override get wireMembers(): Readonly<Record<string, unknown>> {
    return { probe: this.probe }
  }
}

/** The package that speaks to a backend is not there. */
export class StatePluginMissingError extends MillraceError {
  readonly code = 'ERR_STATE_PLUGIN_MISSING'

  constructor(backend: string, packageName: string, range: string, cause: unknown) {
    super(
      `the state backend "${backend}" needs the package ${packageName}, which is not installed: npm install ${packageName}@${range} beside millrace`,
      { cause },
    )
  }
}

/** Whether a server has answered and does not want this user, or does not have what is asked for; waiting changes nothing. */
export function isRefusal(cause: unknown): boolean {
  if (!(cause instanceof Error)) return false
  // Classes of SQLSTATE: authorisation, no such database, no permission.
  if ('code' in cause && typeof cause.code === 'string') return /^(28|3D|42)...$/.test(cause.code)
  return /^(WRONGPASS|NOAUTH|NOPERM|ERR) /.test(cause.message)
}

/** Errors of drivers may carry several, one for each address that was tried, and no text of their own. */
export function reasonOf(cause: unknown): string {
  if (cause instanceof AggregateError && cause.errors.length > 0) return cause.errors.map(reasonOf).join('; ')
  const text = cause instanceof Error ? cause.message : String(cause)
  return text.replace(/:\/\/[^@\s/]*@/g, '://***@').slice(0, 500)
}
