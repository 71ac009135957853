import { readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { syncDirectory } from './files.js'
import { errorCode } from './store-errors.js'

/** No encoded topic holds a dot. */
const SUFFIX = '.deleted'

/**
 * Takes the folder of a topic away in one step that survives a power cut. What is left of it is found again by
 * {@link foldersSetAside}.
 */
export async function setAside(topics: string, folder: string): Promise<void> {
  await removeSetAside(topics, folder)
  try {
    await rename(join(topics, folder), join(topics, folder + SUFFIX))
  } catch (error) {
    // Gone before, by other means.
    if (errorCode(error) !== 'ENOENT') throw error
  }
  await syncDirectory(topics)
}

/** Folders of topics whose removal has begun. */
export async function foldersSetAside(topics: string): Promise<readonly string[]> {
  const names = await readdir(topics)
  return names.filter((name) => name.endsWith(SUFFIX)).map((name) => name.slice(0, -SUFFIX.length))
}

export function removeSetAside(topics: string, folder: string): Promise<void> {
  return rm(join(topics, folder + SUFFIX), { recursive: true, force: true })
}
