import { randomFillSync } from 'node:crypto'
import { open, rename, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from './store-errors.js'

/** Written at once; bytes. */
const CHUNK_BYTES = 1024 * 1024

/**
 * A file that holds room on the disk: LevelDB can only be opened again after the disk was full when there is room for a
 * table as big as its log, and this file is given up for that.
 */
export class ReserveFile {
  readonly #directory: string
  readonly #path: string
  readonly #bytes: number

  constructor(directory: string, bytes: number) {
    this.#directory = directory
    this.#path = join(directory, 'reserve')
    this.#bytes = bytes
  }

  async exists(): Promise<boolean> {
    try {
      return (await stat(this.#path)).size >= this.#bytes
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return false
      throw error
    }
  }

  /** Whether the disk has room for the reserve, if it is not taken yet, and for as much again. */
  async hasRoom(): Promise<boolean> {
    const { bavail, bsize } = await statfs(this.#directory)
    const missing = (await this.exists()) ? 0 : this.#bytes
    return bavail * bsize >= missing + this.#bytes
  }

  /** Writes and syncs a few bytes. Throws what the disk says when it refuses. */
  async probe(): Promise<void> {
    const path = `${this.#path}.probe`
    const file = await open(path, 'w', 0o600)
    try {
      await file.write(Buffer.from('probe'))
      await file.sync()
    } finally {
      await file.close()
    }
    await rm(path, { force: true })
  }

  /** Takes the room, with bytes that no file system stores in less. Throws what the disk says when there is none. */
  async create(): Promise<void> {
    if (await this.exists()) return
    const temporary = `${this.#path}.new`
    try {
      const file = await open(temporary, 'w', 0o600)
      try {
        const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
        for (let at = 0; at < this.#bytes; at += CHUNK_BYTES) {
          randomFillSync(chunk)
          await writeAll(file, chunk.subarray(0, Math.min(CHUNK_BYTES, this.#bytes - at)))
        }
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(temporary, this.#path)
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
  }

  /** Gives the room back. */
  async release(): Promise<void> {
    await rm(this.#path, { force: true })
  }
}

/** A nearly full disk takes part of a write first. */
async function writeAll(file: Awaited<ReturnType<typeof open>>, bytes: Buffer): Promise<void> {
  let rest = bytes
  while (rest.length > 0) {
    const { bytesWritten } = await file.write(rest)
    rest = rest.subarray(bytesWritten)
  }
}
