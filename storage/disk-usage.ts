import { readdir, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from './store-errors.js'

/** A figure older than this is measured again when somebody asks, milliseconds. */
const MAX_AGE_MS = 5000

/** Bytes of all files of a topic, and the room of their file system. Measured when asked for, so that an idle node does nothing. */
export class DiskUsage {
  readonly directory: string
  #bytes = 0
  #freeBytes = Number.NaN
  #sizeBytes = Number.NaN
  #measuredMs = -Infinity
  #measuring: Promise<void> | undefined

  constructor(directory: string) {
    this.directory = directory
  }

  /** The latest figures; begins a new measurement when they are old. */
  latest(): { readonly bytes: number; readonly freeBytes: number; readonly sizeBytes: number } {
    if (performance.now() - this.#measuredMs > MAX_AGE_MS) void this.measure()
    return { bytes: this.#bytes, freeBytes: this.#freeBytes, sizeBytes: this.#sizeBytes }
  }

  /** A failed measurement leaves the figures as they are. */
  measure(): Promise<void> {
    return (this.#measuring ??= this.#measure()
      .catch(() => undefined)
      .finally(() => {
        this.#measuredMs = performance.now()
        this.#measuring = undefined
      }))
  }

  async #measure(): Promise<void> {
    const { bavail, blocks, bsize } = await statfs(this.directory)
    this.#freeBytes = bavail * bsize
    this.#sizeBytes = blocks * bsize
    this.#bytes = await sumOfFiles(this.directory)
  }
}

/** Bytes of all files below a directory. */
export async function sumOfFiles(directory: string): Promise<number> {
  let sum = 0
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    sum += entry.isDirectory() ? await sumOfFiles(path) : await sizeOf(path)
  }
  return sum
}

/** LevelDB deletes files at any time. */
async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return 0
    throw error
  }
}
