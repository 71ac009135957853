import type { Database } from './database.js'
import { KIND, kindRange } from './keys.js'
import { StoreCorruptError } from './store-errors.js'

/** Bytes of sealed tail records below which nothing is compacted. */
const MIN_DEAD_BYTES = 2 * 1024 * 1024

/** How long nothing must have been committed, milliseconds: a busy store compacts by itself, and has better things to do. */
const IDLE_MS = 2_000

/**
 * Gives back the room of tail records whose blocks are sealed. LevelDB drops deleted records when it next compacts, which
 * it does only while more is written: after a burst it would keep several megabytes of them for as long as nobody publishes.
 */
export class TailCompactor {
  readonly #meta: Database
  #deadBytes = 0
  #lastCommit = performance.now()

  constructor(meta: Database) {
    this.#meta = meta
  }

  committed(): void {
    this.#lastCommit = performance.now()
  }

  /** @param bytes of records that were deleted */
  sealed(bytes: number): void {
    this.#deadBytes += bytes
  }

  /** Compacts when it is worth it and the time is right. Returns after how many milliseconds to ask again, if at all. */
  async compact(): Promise<number | undefined> {
    if (this.#deadBytes < MIN_DEAD_BYTES) return undefined
    const idleMs = performance.now() - this.#lastCommit
    if (idleMs < IDLE_MS) return IDLE_MS - idleMs
    this.#deadBytes = 0
    const { gte, lt } = kindRange(KIND.tail)
    try {
      await this.#meta.compact(gte, lt)
    } catch (error) {
      // Damaged tables are left alone: touching them could end the process.
      if (!(error instanceof StoreCorruptError)) throw error
    }
    return undefined
  }
}
