import { MillraceError, type ErrorCode } from '../core/index.js'

/** Exit codes of the command (see sysexits for those from 64 on); scripts and service managers act on them. */
export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  addressInUse: 69,
  internal: 70,
  dataDirectory: 73,
  config: 78,
} as const

const BY_CODE: Partial<Readonly<Record<ErrorCode, number>>> = {
  ERR_ADDRESS_IN_USE: EXIT.addressInUse,
  ERR_CONFIG_INVALID: EXIT.config,
  ERR_CONFIG_UNREADABLE: EXIT.config,
  ERR_DATA_DIRECTORY: EXIT.dataDirectory,
  ERR_STORE_CORRUPT: EXIT.dataDirectory,
  ERR_STORE_FORMAT: EXIT.dataDirectory,
  ERR_STORE_FULL: EXIT.dataDirectory,
  ERR_STORE_IO: EXIT.dataDirectory,
  ERR_STORE_LOCKED: EXIT.dataDirectory,
  ERR_STORE_MISSING: EXIT.dataDirectory,
  ERR_STORE_READ_ONLY: EXIT.dataDirectory,
  ERR_STORE_WRONG_NODE: EXIT.dataDirectory,
}

/** The exit code with which the daemon ends when its start fails so. */
export function exitCodeOf(error: unknown): number {
  return (error instanceof MillraceError ? BY_CODE[error.code] : undefined) ?? EXIT.internal
}
