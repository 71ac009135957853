import { MillraceError } from '../core/index.js'

/** A backup is damaged, cut off, or none. */
export class BackupInvalidError extends MillraceError {
  readonly code = 'ERR_BACKUP_INVALID'
}

/** A backup cannot be written, or restored, to where it was to go. */
export class BackupTargetError extends MillraceError {
  readonly code = 'ERR_BACKUP_TARGET'
}

/** Another backup of the node is under way. */
export class BackupRunningError extends MillraceError {
  readonly code = 'ERR_BACKUP_RUNNING'

  constructor() {
    super('a backup of this node is under way already; wait until it is done')
  }
}
