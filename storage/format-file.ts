import { join } from 'node:path'
import { readFileIfExists, writeFileDurably } from './files.js'
import { DataDirectoryError, StoreFormatError } from './store-errors.js'

/** Version of everything below the data directory. */
export const FORMAT_VERSION = 1

/** Notes the version in a new directory. @throws StoreFormatError, DataDirectoryError */
export async function checkFormat(path: string): Promise<void> {
  const file = join(path, 'format')
  const content = await readFileIfExists(file)
  if (content === undefined) return writeFileDurably(file, `${String(FORMAT_VERSION)}\n`)
  const text = content.toString().trim()
  if (!/^[1-9][0-9]{0,8}$/.test(text)) {
    throw new DataDirectoryError(
      `${file} is damaged: it should hold a version number, such as ${String(FORMAT_VERSION)}`,
    )
  }
  if (Number(text) > FORMAT_VERSION) throw new StoreFormatError(path, text, FORMAT_VERSION)
}
