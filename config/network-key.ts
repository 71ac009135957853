import { randomBytes } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { InvalidSettingError } from './setting.js'
import { reasonOf } from './unreadable.js'

/** Bytes of the key that all nodes of a swarm share, and the characters that they take in base64. */
const KEY_LENGTH = 32
const TEXT_LENGTH = 44

/** Bytes of a file that could hold a key and white space around it. */
const LONGEST_FILE = 1024

const MEND = 'millrace swarm keygen prints a new one'

/** A new network key, as `swarm.key` takes it: 44 characters of base64. */
export function createNetworkKey(): string {
  return randomBytes(KEY_LENGTH).toString('base64')
}

/** What is refused here is never repeated in the reason: it may be a key but for one character. @throws InvalidSettingError */
export function checkNetworkKey(text: string): string {
  const bytes = Buffer.from(text, 'base64')
  // Node skips what is no base64, so only the way back tells whether all of the text counted.
  if (bytes.length === KEY_LENGTH && bytes.toString('base64') === text) return text
  throw new InvalidSettingError(`this is no network key: ${faultOf(text, bytes)}`, MEND)
}

function faultOf(text: string, bytes: Uint8Array): string {
  if (/[^A-Za-z0-9+/=]/.test(text)) return 'it holds characters that are not of base64'
  if (text.length !== TEXT_LENGTH) {
    return `it has ${String(text.length)} characters instead of ${String(TEXT_LENGTH)}`
  }
  return bytes.length === KEY_LENGTH
    ? 'its last characters are not those of 32 bytes'
    : `it stands for ${String(bytes.length)} bytes instead of ${String(KEY_LENGTH)}`
}

/** Reads a file that holds a network key and nothing else but white space. @throws InvalidSettingError */
export function readKeyFile(path: string): string {
  return checkFileContent(readSmallFile(path))
}

function readSmallFile(path: string): string {
  try {
    const { size } = statFile(path)
    if (size > LONGEST_FILE) throw new InvalidSettingError(`the key file ${path} is too large for a network key`, MEND)
    return readFileSync(path, 'latin1')
  } catch (error) {
    if (error instanceof InvalidSettingError) throw error
    throw new InvalidSettingError(`cannot read the key file ${path}: ${reasonOf(error)}`)
  }
}

/** Anything but a plain file might never end. */
function statFile(path: string): { readonly size: number } {
  const status = statSync(path)
  if (status.isFile()) return status
  const what = status.isDirectory() ? 'a directory' : 'no plain file'
  throw new InvalidSettingError(`cannot read the key file ${path}: it is ${what}`)
}

function checkFileContent(text: string): string {
  try {
    return checkNetworkKey(text.trim())
  } catch (error) {
    if (!(error instanceof InvalidSettingError)) throw error
    throw new InvalidSettingError(error.message.replace('this is', 'the key file holds'), error.mend)
  }
}
