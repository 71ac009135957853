import { systemClock } from '../core/index.js'
import { restoreBackup, type Restored, type StoreLogger } from '../storage/index.js'
import type { DaemonSettings } from './daemon-settings.js'
import { storeSettings } from './node-store.js'

export interface RestoreRequest {
  readonly backup: string
  /** File with the key of the node, for a backup without. */
  readonly identity: string | undefined
  readonly logger: StoreLogger
  readonly signal: AbortSignal
  readonly onStep: (step: string) => void
}

/** Makes the data directory of the settings of a backup. @throws as `restoreBackup` */
export function restoreNode(settings: DaemonSettings, request: RestoreRequest): Promise<Restored> {
  const { logger, ...rest } = request
  const store = storeSettings(settings, logger)
  return restoreBackup({ ...rest, data: settings.dataDirectory, clock: systemClock, store })
}
