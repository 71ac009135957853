import { blockKey } from './block.js'
import type { Database, WriteStep } from './database.js'
import { arrivalOfFreedKey, freedKey, KIND, kindRange } from './keys.js'
import { decodeSingle, encodeSingle } from './single-value.js'
import { StoreCorruptError } from './store-errors.js'

/** Arrival numbers that are compacted together. */
const WINDOW = 256

/** Dead blocks in a window from which it is compacted: a quarter. */
const MIN_DEAD_IN_WINDOW = WINDOW / 4

/** Dead bytes in all below which nothing is compacted: 16 MiB. */
const MIN_DEAD_BYTES = 16 * 1024 * 1024

/** Freed numbers read at once. */
const PAGE = 1024

/** A block that is no longer in the index, whose room is to be given back. */
export interface FreedBlock {
  readonly arrival: number
  readonly storedBytes: number
}

interface Window {
  dead: number
  bytes: number
}

/**
 * Gives disk back. Pruning puts the numbers of its blocks on a list in `meta`; here they are deleted, which frees nothing
 * by itself, and compacted window by window, which rewrites neighbours and therefore waits until it pays; then they are
 * struck from the list. What a crash leaves undone is done again at start.
 */
export class Reclaimer {
  readonly #meta: Database
  readonly #blocks: Database
  readonly #windows = new Map<number, Window>()
  #deadBytes = 0

  private constructor(meta: Database, blocks: Database) {
    this.#meta = meta
    this.#blocks = blocks
  }

  static async load(meta: Database, blocks: Database): Promise<Reclaimer> {
    const reclaimer = new Reclaimer(meta, blocks)
    for await (const page of meta.pages({ ...kindRange(KIND.freed), limit: PAGE })) {
      const freed = page.map(([key, value]) => {
        const arrival = arrivalOfFreedKey(key)
        return { arrival, storedBytes: Number(decodeSingle(nameOfFreed(arrival), value)) }
      })
      for (const block of freed) reclaimer.#count(block)
      await reclaimer.#deleteRest(freed)
    }
    return reclaimer
  }

  /** Bytes of blocks that are dead and still take room. */
  get deadBytes(): number {
    return this.#deadBytes
  }

  /** What puts blocks on the list; belongs into the batch that takes them out of the index. */
  listSteps(freed: readonly FreedBlock[]): WriteStep[] {
    return freed.map(({ arrival, storedBytes }) => ({
      type: 'put',
      key: freedKey(arrival),
      value: encodeSingle(nameOfFreed(arrival), storedBytes),
    }))
  }

  /** Deletes blocks that are on the list now. */
  async delete(freed: readonly FreedBlock[]): Promise<void> {
    for (const block of freed) this.#count(block)
    for (const { first, last } of runs(freed)) await unlessDamaged(() => this.#clear(first, last))
  }

  /** Compacts what is worth it. */
  async compact(): Promise<void> {
    if (this.#deadBytes < MIN_DEAD_BYTES) return
    for (const [number, window] of [...this.#windows]) {
      if (window.dead < MIN_DEAD_IN_WINDOW) continue
      const first = number * WINDOW
      const compacted = await unlessDamaged(() => this.#blocks.compact(blockKey(first, 0), blockKey(first + WINDOW, 0)))
      if (!compacted) continue
      await this.#strike(first)
      this.#windows.delete(number)
      this.#deadBytes -= window.bytes
    }
  }

  async #strike(first: number): Promise<void> {
    const keys = await this.#meta.keys({ gte: freedKey(first), lt: freedKey(first + WINDOW), limit: WINDOW })
    await this.#meta.write(
      keys.map((key) => ({ type: 'del', key })),
      false,
    )
  }

  #count({ arrival, storedBytes }: FreedBlock): void {
    const number = Math.floor(arrival / WINDOW)
    const window = this.#windows.get(number) ?? { dead: 0, bytes: 0 }
    window.dead++
    window.bytes += storedBytes
    this.#deadBytes += storedBytes
    this.#windows.set(number, window)
  }

  /** At start: nothing is written when all was deleted before. */
  async #deleteRest(freed: readonly FreedBlock[]): Promise<void> {
    for (const { first, last } of runs(freed)) {
      await unlessDamaged(async () => {
        const left = await this.#blocks.keys({ gte: blockKey(first, 0), lt: blockKey(last + 1, 0), limit: 1 })
        if (left.length > 0) await this.#clear(first, last)
      })
    }
  }

  #clear(first: number, last: number): Promise<void> {
    return this.#blocks.clear({ gte: blockKey(first, 0), lt: blockKey(last + 1, 0) })
  }
}

/** Damaged tables are left alone, with what is dead in them: touching them could end the process. */
async function unlessDamaged(work: () => Promise<void>): Promise<boolean> {
  try {
    await work()
    return true
  } catch (error) {
    if (error instanceof StoreCorruptError) return false
    throw error
  }
}

/** Neighbouring numbers taken together. */
function* runs(freed: readonly FreedBlock[]): Generator<{ readonly first: number; readonly last: number }> {
  const arrivals = freed.map(({ arrival }) => arrival).sort((a, b) => a - b)
  let first: number | undefined
  let last = 0
  for (const arrival of arrivals) {
    if (first !== undefined && arrival !== last + 1) {
      yield { first, last }
      first = undefined
    }
    first ??= arrival
    last = arrival
  }
  if (first !== undefined) yield { first, last }
}

/** Name that the checksum of an entry of the list covers. */
export function nameOfFreed(arrival: number): string {
  return `freed/${String(arrival)}`
}
