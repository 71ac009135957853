import { readFileSync, statSync } from 'node:fs'
import { InvalidSettingError } from './setting.js'
import { reasonOf } from './unreadable.js'

/** How URLs of servers begin, for each backend that has one. */
export const STATE_SCHEMES: Readonly<Record<string, readonly string[]>> = {
  postgres: ['postgres:', 'postgresql:'],
  redis: ['redis:', 'rediss:'],
}

/** Bytes of a file that could hold a URL. */
const LONGEST_FILE = 4096

/** What is refused is never repeated in the reason: it may hold a password. @throws InvalidSettingError */
export function checkStateUrl(text: string): string {
  const isKnown = Object.values(STATE_SCHEMES).some((schemes) =>
    schemes.some((scheme) => text.startsWith(`${scheme}//`)),
  )
  if (isKnown && URL.canParse(text)) return text
  throw new InvalidSettingError(
    'this is no URL of a server that keeps a state',
    'such as postgres://user:password@host/database or redis://:password@host:6379/0',
  )
}

/** @throws InvalidSettingError */
export function readUrlFile(path: string): string {
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
