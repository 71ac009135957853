import { open, readFile, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { errorCode } from './store-errors.js'

/** The file's content, `undefined` when there is no such file. */
export async function readFileIfExists(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Replaces a file so that after a crash either the old or the new content is there, whole and synced. */
export async function writeFileDurably(path: string, content: string | Uint8Array, mode = 0o600): Promise<void> {
  const temporary = `${path}.new`
  const file = await open(temporary, 'w', mode)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
  await syncDirectory(dirname(path))
}

/** Makes names created in a directory survive a power cut. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(join(path, '.'), 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
