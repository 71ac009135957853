import { readFileSync, statSync } from 'node:fs'
import type { Written } from './cross-checks.js'
import { problemAt, type Problem } from './problem.js'
import { InvalidSettingError } from './setting.js'
import type { SettingValues } from './settings-schema.js'
import { reasonOf } from './unreadable.js'

/** How URLs of servers begin. */
const SCHEMES: Readonly<Record<string, readonly string[]>> = {
  postgres: ['postgres:', 'postgresql:'],
  redis: ['redis:', 'rediss:'],
}

/** Bytes of a file that could hold a URL. */
const LONGEST_FILE = 4096

/** What is refused is never repeated in the reason: it may hold a password. @throws InvalidSettingError */
export function checkStateUrl(text: string): string {
  const isKnown = Object.values(SCHEMES).some((schemes) => schemes.some((scheme) => text.startsWith(`${scheme}//`)))
  if (isKnown && URL.canParse(text)) return text
  throw new InvalidSettingError(
    'this is no URL of a server that keeps a state',
    'such as postgres://user:password@host/database or redis://:password@host:6379/0',
  )
}

/** The URL of the server, wherever it is to be found, or what keeps the state from being there. */
export function findStateUrl({ state }: SettingValues, written: Written): string | Problem | undefined {
  const { backend, acceptFailoverLoss } = state
  const schemes = SCHEMES[backend]
  if (schemes === undefined) return undefined
  const problem = (setting: string, reason: string, mend: string): Problem | undefined => {
    const place = written(setting) ?? written('state.backend')
    return place === undefined ? undefined : problemAt(place.source, place.start, place.end, reason, mend)
  }
  if (backend === 'redis' && !acceptFailoverLoss) {
    return problem(
      'state.backend',
      'the state backend "redis" loses locks and other acknowledged changes at a failover',
      'accept it by state.acceptFailoverLoss: true, or take postgres or embedded',
    )
  }
  if (state.url !== null && state.urlFile !== null) {
    return problem('state.urlFile', 'state.url and state.urlFile are both set', 'leave out one of them')
  }
  try {
    const url = state.urlFile === null ? state.url : readUrlFile(state.urlFile)
    if (url === null) {
      throw new InvalidSettingError(
        `the state backend "${backend}" needs to know its server`,
        'set state.url or state.urlFile',
      )
    }
    if (schemes.some((scheme) => url.startsWith(scheme))) return url
    throw new InvalidSettingError(`the URL is not one of ${backend}`, `it begins with ${schemes.join('// or ')}//`)
  } catch (error) {
    if (!(error instanceof InvalidSettingError)) throw error
    return problem(state.urlFile === null ? 'state.url' : 'state.urlFile', error.message, error.mend ?? 'correct it')
  }
}

function readUrlFile(path: string): string {
  try {
    const status = statSync(path)
    // Anything but a plain file might never end.
    if (!status.isFile()) throw new InvalidSettingError(`cannot read the URL file ${path}: it is no plain file`)
    if (status.size > LONGEST_FILE) throw new InvalidSettingError(`the URL file ${path} is too large for a URL`)
    return checkStateUrl(readFileSync(path, 'utf8').trim())
  } catch (error) {
    if (error instanceof InvalidSettingError) throw error
    throw new InvalidSettingError(`cannot read the URL file ${path}: ${reasonOf(error)}`)
  }
}
