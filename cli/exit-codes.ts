import { RequestRefusedError } from '../client/index.js'
import { MillraceError, type ErrorCode } from '../core/index.js'

/** Exit codes of the command (see sysexits for those from 64 on); scripts and service managers act on them. */
export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  damage: 65,
  addressInUse: 69,
  internal: 70,
  dataDirectory: 73,
  config: 78,
} as const

const BY_CODE: Partial<Readonly<Record<ErrorCode, number>>> = {
  ERR_USAGE: EXIT.usage,
  ERR_ADDRESS_IN_USE: EXIT.addressInUse,
  ERR_SWARM_LISTEN: EXIT.addressInUse,
  ERR_SWARM_SETTING: EXIT.config,
  ERR_NETWORK_KEY: EXIT.config,
  ERR_CONFIG_INVALID: EXIT.config,
  ERR_CONFIG_UNREADABLE: EXIT.config,
  ERR_STATE_PROBE_FAILED: EXIT.config,
  ERR_STATE_PLUGIN_MISSING: EXIT.config,
  ERR_BACKUP_INVALID: EXIT.damage,
  ERR_BACKUP_TARGET: EXIT.dataDirectory,
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

/** Errors on purpose that have no code of their own are failures; anything else is a fault of ours. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof RequestRefusedError && error.wireCode.startsWith('ERR_CONFIG_')) return EXIT.config
  if (error instanceof MillraceError) return BY_CODE[error.code] ?? EXIT.failure
  return isListenError(error) ? EXIT.addressInUse : EXIT.internal
}

/** An address that this machine does not have, or a port that the user may not take. */
function isListenError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && (error.syscall === 'listen' || error.syscall === 'getaddrinfo')
}
