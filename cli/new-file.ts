import { open } from 'node:fs/promises'
import { MillraceError } from '../core/index.js'

/** A file that the command should make cannot be made. */
export class UnwritableFileError extends MillraceError {
  readonly code = 'ERR_OUTPUT_UNWRITABLE'
}

/**
 * Makes a file that is not there yet, with exactly this mode; never overwrites one.
 *
 * @returns whether it was made
 * @throws UnwritableFileError
 */
export async function makeNewFile(path: string, content: string, mode: number): Promise<boolean> {
  try {
    const file = await open(path, 'wx', mode)
    try {
      await file.chmod(mode)
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    const reason = error instanceof Error ? error.message : String(error)
    throw new UnwritableFileError(`cannot write ${path}: ${reason}`, { cause: error })
  }
}
