import { open, realpath, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { ConfigFixedError } from './config-error.js'
import { reasonOf } from './unreadable.js'

/**
 * Puts another text in the place of a file: whoever reads it sees the old or the new one, also after a power cut. Owner
 * and mode stay.
 *
 * @throws ConfigFixedError where that is not possible; then the file is as it was
 */
export async function replaceFile(path: string, text: string): Promise<void> {
  try {
    await replace(await realpath(path), text)
  } catch (error) {
    throw new ConfigFixedError(`the configuration file cannot be written: ${reasonOf(error)}`, { cause: error })
  }
}

async function replace(path: string, text: string): Promise<void> {
  const { mode, uid, gid } = await stat(path)
  const next = `${path}.${String(process.pid)}.new`
  try {
    const file = await open(next, 'wx', 0o600)
    try {
      await file.writeFile(text)
      const made = await file.stat()
      if (made.uid !== uid || made.gid !== gid) await file.chown(uid, gid)
      await file.chmod(mode & 0o7777)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(next, path)
  } catch (error) {
    await rm(next, { force: true })
    throw error
  }
  const directory = await open(dirname(path), 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
