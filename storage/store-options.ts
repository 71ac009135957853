import type { Clock } from '../core/index.js'
import type { BlockLimits } from './block-boundaries.js'
import type { DataDirectory } from './data-directory.js'

/** When a commit counts as done: on disk, handed to the system, or the latter with a sync every so many milliseconds. */
export type SyncMode = 'always' | 'os' | { readonly intervalMs: number }

/** Where the store reports what no caller asked for; pino has this form. */
export interface StoreLogger {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** What {@link openStore} takes. Defaults are the business of `config`. */
export interface StoreOptions {
  /** Open, and kept open until the store is closed. */
  readonly directory: DataDirectory
  readonly topic: string
  readonly clock: Clock
  readonly logger: StoreLogger
  readonly sync: SyncMode
  readonly block: BlockLimits
  /** Between two passes of retention, milliseconds. */
  readonly pruneIntervalMs: number
  /** Memory for decoded blocks, bytes. */
  readonly cacheBytes: number
  /** Size of a group commit, bytes of payload; what exceeds it waits. */
  readonly maxInFlightBytes: number
  /** Lines waiting to be sealed, bytes; commits wait beyond it. */
  readonly maxUnsealedBytes: number
  /** Room held for opening the databases on a full disk, bytes. */
  readonly reserveBytes: number
}
