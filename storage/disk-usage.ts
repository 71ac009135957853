import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from './store-errors.js'

/** A figure older than this is measured again when somebody asks, milliseconds. */
const MAX_AGE_MS = 5000

/** Bytes of all files of a topic. Measured when asked for, so that an idle node does nothing. */
export class DiskUsage {
  readonly directory: string
  #bytes = 0
  #measuredMs = -Infinity
  #measuring: Promise<void> | undefined

  constructor(directory: string) {
    this.directory = directory
  }

  /** The latest figure; begins a new measurement when it is old. */
  get bytes(): number {
    if (performance.now() - this.#measuredMs > MAX_AGE_MS) void this.measure()
    return this.#bytes
  }

  /** A failed measurement leaves the figure as it is. */
  measure(): Promise<void> {
    return (this.#measuring ??= sumOfFiles(this.directory)
      .then(
        (bytes) => {
          this.#bytes = bytes
        },
        () => undefined,
      )
      .finally(() => {
        this.#measuredMs = performance.now()
        this.#measuring = undefined
      }))
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
