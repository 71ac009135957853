import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ClassicLevel } from 'classic-level'
import type { MillraceError } from '../core/index.js'
import type { KeySpan } from './leveldb-files.js'
import {
  describeError,
  errorCode,
  StoreClosedError,
  StoreCorruptError,
  StoreIoError,
  StoreLockedError,
  toStoreError,
} from './store-errors.js'
import { TableGuard } from './table-guard.js'
import { WriteGate } from './write-gate.js'

/** How long a read waits for a database that could not be opened anew, and how often it looks at least; milliseconds. */
const READ_PATIENCE_MS = 10_000
const RETRY_MS = 100

type Level = ClassicLevel<Buffer, Buffer>

/** One step of an atomic write. */
export type WriteStep =
  | { readonly type: 'put'; readonly key: Buffer; readonly value: Buffer }
  | { readonly type: 'del'; readonly key: Buffer }

/** Which keys; both ends optional. */
export interface KeyRange {
  readonly gte?: Buffer
  readonly gt?: Buffer
  readonly lt?: Buffer
  readonly lte?: Buffer
}

export interface PageRequest extends KeyRange {
  readonly limit: number
  readonly reverse?: boolean
}

/** How a database is tuned; bytes. */
export interface DatabaseTuning {
  readonly compression: boolean
  readonly writeBufferSize: number
  readonly cacheSize: number
}

/** Which tables of an earlier run are checked before opening: all, or only what LevelDB may touch unasked. */
export type TableChecks = 'all' | 'when-read'

/** Made once: LevelDB's wrapper copies options that do not name their encodings. */
const PUT = { sync: false, keyEncoding: 'buffer', valueEncoding: 'buffer' } as const
const PUT_SYNCED = { ...PUT, sync: true } as const

/**
 * One classic-level database with binary keys. After an error such as a full disk LevelDB refuses all writes until it
 * is opened anew: {@link Database.reopen} does that in place while readers wait.
 */
export class Database {
  readonly #directory: string
  readonly #level: Level
  readonly #guard: TableGuard
  readonly #gate = new WriteGate()
  /** Set while the database is being opened anew. */
  #reopening: Promise<void> | undefined
  /** Aborted, and replaced, when the database was opened anew or is closed. */
  #back = new AbortController()
  #closed: Promise<void> | undefined
  #onFailure: (error: unknown) => void = () => undefined

  private constructor(directory: string, level: Level, guard: TableGuard) {
    this.#directory = directory
    this.#level = level
    this.#guard = guard
  }

  /** Whether there is a database: LevelDB itself would start an empty one when only this file is gone. */
  static async exists(directory: string): Promise<boolean> {
    try {
      await access(join(directory, 'CURRENT'))
      return true
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return false
      throw toStoreError(error, `cannot look at ${directory}`)
    }
  }

  /** @throws StoreLockedError, StoreCorruptError, StoreFullError, StoreIoError */
  static async open(
    directory: string,
    tuning: DatabaseTuning,
    checks: TableChecks,
    createIfMissing: boolean,
  ): Promise<Database> {
    const guard = await TableGuard.load(directory)
    await (checks === 'all' ? guard.checkAll() : guard.checkEager())
    const level: Level = new ClassicLevel(directory, {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
      createIfMissing,
      ...tuning,
    })
    await openLevel(level, directory)
    return new Database(directory, level, guard)
  }

  /** Has every write that fails reported, beside being thrown at its caller. */
  reportFailures(to: (error: unknown) => void): void {
    this.#onFailure = to
  }

  get(key: Buffer): Promise<Buffer | undefined> {
    return this.#read({ from: key, to: key }, () => this.#level.get(key))
  }

  /** @param keys ascending */
  getMany(keys: Buffer[]): Promise<(Buffer | undefined)[]> {
    return this.#read({ from: keys[0], to: keys.at(-1) }, () => this.#level.getMany(keys))
  }

  /** Entries of a range, at most `limit`. */
  page(request: PageRequest): Promise<[Buffer, Buffer][]> {
    return this.#read(spanOf(request), () => this.#level.iterator(request).all())
  }

  /** All entries of a range, a page at a time, none of them empty; what is written meanwhile may be among them. */
  async *pages(request: PageRequest): AsyncGenerator<[Buffer, Buffer][]> {
    const { limit, reverse = false } = request
    let range: KeyRange = request
    for (;;) {
      const page = await this.page({ ...range, limit, reverse })
      const last = page.at(-1)
      if (last === undefined) return
      yield page
      if (page.length < limit) return
      range = reverse ? { ...range, lt: last[0] } : { ...range, gte: Buffer.concat([last[0], Buffer.of(0)]) }
    }
  }

  /** As {@link pages}, one by one. */
  async *entries(request: PageRequest): AsyncGenerator<[Buffer, Buffer]> {
    for await (const page of this.pages(request)) yield* page
  }

  keys(request: PageRequest): Promise<Buffer[]> {
    return this.#read(spanOf(request), () => this.#level.keys(request).all())
  }

  /** Atomic. With `sync` it is on disk when the promise resolves, and so is every write before it. */
  async write(steps: WriteStep[], sync: boolean): Promise<void> {
    if (this.#gate.isHeld) await this.#gate.passed()
    this.#gate.enter()
    const [first] = steps
    try {
      // The commit of a single record, which is most of them: a batch costs the event loop half as much again.
      if (steps.length === 1 && first?.type === 'put') {
        await this.#level.put(first.key, first.value, sync ? PUT_SYNCED : PUT)
      } else await this.#chain(steps).write({ sync })
    } catch (error) {
      throw this.#failed(error, 'cannot write to')
    } finally {
      this.#gate.leave()
    }
  }

  /** The steps one by one: a list of them takes the event loop twice as long. */
  #chain(steps: readonly WriteStep[]) {
    const batch = this.#level.batch()
    for (const step of steps) {
      if (step.type === 'put') batch.put(step.key, step.value)
      else batch.del(step.key)
    }
    return batch
  }

  /** Does something while nothing is written, and no table is made but by compaction. Reads go on. */
  holdWrites<T>(work: () => Promise<T>): Promise<T> {
    return this.#gate.hold(work)
  }

  /** Deletes a range, not atomically and not synced. */
  async clear(range: KeyRange): Promise<void> {
    // Compaction, of its own accord too, will read the tables that deletions fall into.
    if (!this.#guard.isClear) await this.#guard.checkTables(spanOf(range))
    await this.#gate.passed()
    this.#gate.enter()
    try {
      await this.#level.clear(range)
    } catch (error) {
      throw this.#failed(error, 'cannot delete from')
    } finally {
      this.#gate.leave()
    }
  }

  /** Gives back the room of what was deleted in [start, end). */
  async compact(start: Buffer, end: Buffer): Promise<void> {
    if (!this.#guard.isClear) await this.#guard.checkTables({ from: start, to: end })
    try {
      await this.#level.compactRange(start, end)
    } catch (error) {
      throw this.#failed(error, 'cannot compact')
    }
  }

  /** Bytes that LevelDB holds in memory. */
  memoryBytes(): number {
    return this.#level.status === 'open' ? Number(this.#level.getProperty('leveldb.approximate-memory-usage')) : 0
  }

  /** Closes and opens again; reads wait meanwhile. When opening fails, reads fail until it is tried again. */
  async reopen(): Promise<void> {
    if (this.#closed !== undefined) throw new StoreClosedError()
    this.#reopening ??= this.#closeAndOpen().finally(() => (this.#reopening = undefined))
    await this.#reopening
  }

  async #closeAndOpen(): Promise<void> {
    await this.#gate.passed()
    this.#gate.enter()
    try {
      await this.#level.close()
      await openLevel(this.#level, this.#directory)
    } finally {
      this.#gate.leave()
    }
    this.#wakeReaders()
  }

  #wakeReaders(): void {
    this.#back.abort()
    this.#back = new AbortController()
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#shutdown())
  }

  async #shutdown(): Promise<void> {
    await this.#reopening?.catch(() => undefined)
    this.#wakeReaders()
    await this.#level.close()
  }

  /** Reads that a reopening cuts off are done again; when opening fails, it is tried again soon, and that is waited for. */
  async #read<T>(span: KeySpan, operation: () => Promise<T>): Promise<T> {
    if (!this.#guard.isClear) await this.#guard.checkKeys(span)
    const deadline = performance.now() + READ_PATIENCE_MS
    for (;;) {
      if (this.#reopening !== undefined) await this.#reopening.catch(() => undefined)
      try {
        return await operation()
      } catch (error) {
        if (!isCutOff(error) || this.#closed !== undefined || performance.now() > deadline) {
          throw this.#toError(error, 'cannot read from')
        }
        if (this.#reopening === undefined) await delay(RETRY_MS, undefined, { signal: this.#back.signal }).catch(ignore)
      }
    }
  }

  #failed(error: unknown, doing: string): Error {
    const mapped = this.#toError(error, doing)
    this.#onFailure(mapped)
    return mapped
  }

  #toError(error: unknown, doing: string): Error {
    if (this.#closed !== undefined && isCutOff(error)) return new StoreClosedError()
    return storeErrorOf(error, `${doing} ${this.#directory}`)
  }
}

async function openLevel(level: Level, directory: string): Promise<void> {
  try {
    await level.open()
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
    if (errorCode(cause) === 'LEVEL_LOCKED') throw new StoreLockedError(directory, 'another process', { cause })
    if (errorCode(cause) === 'LEVEL_CORRUPTION') {
      throw new StoreCorruptError(`the database ${directory} is damaged: ${describeError(cause)}`, { cause })
    }
    throw storeErrorOf(cause, `cannot open the database ${directory}`)
  }
}

/** A table or manifest that is gone is reported as an input error. */
function storeErrorOf(error: unknown, doing: string): MillraceError {
  const mapped = toStoreError(error, doing)
  if (!(mapped instanceof StoreIoError) || !/No such file/i.test(mapped.message)) return mapped
  return new StoreCorruptError(`${mapped.message}: a file of the database is missing`, { cause: error })
}

function spanOf({ gte, gt, lt, lte }: KeyRange): KeySpan {
  return { from: gte ?? gt, to: lte ?? lt }
}

function isCutOff(error: unknown): boolean {
  const code = errorCode(error)
  return code === 'LEVEL_DATABASE_NOT_OPEN' || code === 'LEVEL_ITERATOR_NOT_OPEN' || code === 'LEVEL_ABORTED'
}

function ignore(): void {
  // Woken early.
}
