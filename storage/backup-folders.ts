import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isDirectory } from './files.js'
import { DataDirectoryError } from './store-errors.js'

/** Where the files of a backup stand still until they are copied. */
export function snapshotFolder(directory: string): string {
  return join(directory, 'snapshot')
}

/** Left over when a backup was cut off. */
export function removeSnapshot(directory: string): Promise<void> {
  return rm(snapshotFolder(directory), { recursive: true, force: true })
}

/** Where a backup is unpacked and checked; while it exists, nothing else in the directory counts. */
export function restoreFolder(directory: string): string {
  return join(directory, 'restoring')
}

/** @throws DataDirectoryError */
export async function refuseUnfinished(directory: string): Promise<void> {
  if (!(await isDirectory(restoreFolder(directory)))) return
  throw new DataDirectoryError(
    `a backup was being restored into ${directory} and that is not finished: repeat millrace restore, which begins anew`,
  )
}
