import type { Clock } from '../core/index.js'
import type { DataDirectory, StoreLogger, StoreOptions } from '../storage/index.js'
import type { DaemonSettings } from './daemon-settings.js'

/** Room that lets both databases be opened on a full disk: a table as big as each log, which is a write buffer and a batch more. */
const RESERVE_BYTES = 16 * 1024 * 1024

/** How the daemon opens the store of its topic. */
export function storeOptions(
  directory: DataDirectory,
  settings: DaemonSettings,
  logger: StoreLogger,
  clock: Clock,
): StoreOptions {
  return { directory, topic: settings.swarm.topic, clock, ...storeSettings(settings, logger) }
}

/** The same, wherever the store is. */
export function storeSettings(
  settings: DaemonSettings,
  logger: StoreLogger,
): Omit<StoreOptions, 'directory' | 'topic' | 'clock'> {
  return { logger, ...settings.storage, reserveBytes: RESERVE_BYTES }
}
