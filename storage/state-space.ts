import type { Publication } from '../core/index.js'
import { CHECK_LENGTH, openChecked, sealValue } from './checked-value.js'
import type { Database, KeyRange, PageRequest } from './database.js'
import type { AppendRequest } from './event-store.js'
import { KIND } from './keys.js'
import { StoreCorruptError } from './store-errors.js'

/** What a decision sees, and what it does; both hold only if its commit succeeds. */
export interface StateView {
  /** The same object for all decisions that go into one write: they fail or succeed together. */
  readonly group: object
  /** The content of a record, as those before in the same commit leave it. Only of keys that were announced. */
  get(key: Buffer): Buffer | undefined
  put(key: Buffer, content: Buffer): void
  delete(key: Buffer): void
  /** Newest offset that the own stream of this number has ever used; -1 when none. */
  lastOffset(streamNumber: number): number
  /** Has the events stored in the same commit. The request must be among those announced. */
  append(request: AppendRequest): readonly Publication[]
}

/** A change of the state that is decided when its commit is formed, one after the other and in the order of arrival. */
export interface StateDecision {
  /** Of all records that it looks at. */
  readonly keys: readonly Buffer[]
  /** What it may append. */
  readonly appends: readonly AppendRequest[]
  /** Bytes that it is about to write, as far as that is known. */
  readonly bytes: number
  /** What it throws refuses it, and nothing of it is written. Called once. */
  readonly decide: (view: StateView) => void
  /** It is durable: called in the order of the decisions, before any caller is told. Must not throw. */
  readonly committed: () => void
}

/** A decision in the commit queue. */
export interface StateJob {
  readonly kind: 'state'
  readonly decision: StateDecision
  /** Set when it was refused. */
  refusal: { readonly error: unknown } | undefined
}

export interface StateSpaceOptions {
  readonly meta: Database
  readonly epoch: () => number
  readonly commit: (decision: StateDecision) => Promise<void>
  /** A record is damaged, or nothing that is damaged is left. */
  readonly onDamage: (problem: StoreCorruptError | undefined) => void
}

/** Records beside the events of a topic, changed in the same commits. Keys and contents are their keeper's business. */
export class StateSpace {
  readonly #options: StateSpaceOptions

  constructor(options: StateSpaceOptions) {
    this.#options = options
  }

  /** Grows when the store goes on from a backup: what is in use elsewhere may then be newer than what is held. */
  get epoch(): number {
    return this.#options.epoch()
  }

  /** What is durable. @throws StoreCorruptError */
  get(key: Buffer): Promise<Buffer | undefined> {
    return this.#noting(async () => {
      const stored = storedKey(key)
      const value = await this.#options.meta.get(stored)
      return value === undefined ? undefined : contentOf(stored, value)
    })
  }

  /** Records in the order of their keys, as they were at one moment. @throws StoreCorruptError */
  page({ limit, reverse = false, ...range }: PageRequest): Promise<[Buffer, Buffer][]> {
    return this.#noting(async () => {
      const found = await this.#options.meta.page({ ...storedRange(range), limit, reverse })
      return found.map(([key, value]) => [key.subarray(1), contentOf(key, value)])
    })
  }

  /** As {@link page}, but what is damaged comes without its content. */
  async survey({ limit, ...range }: PageRequest): Promise<[Buffer, Buffer | undefined][]> {
    const found = await this.#options.meta.page({ ...storedRange(range), limit })
    return found.map(([key, value]) => [key.subarray(1), openChecked(key, value)])
  }

  /** Nothing that is damaged is left. */
  mended(): void {
    this.#options.onDamage(undefined)
  }

  /** Gives back the room of what was deleted. */
  compact(): Promise<void> {
    return this.#options.meta.compact(Buffer.of(KIND.state), Buffer.of(KIND.state + 1))
  }

  /**
   * Resolves when what was decided is durable.
   *
   * @throws what the decision throws, and what {@link EventStore.append} does; then nothing was written
   */
  commit(decision: StateDecision): Promise<void> {
    return this.#noting(() => this.#options.commit(decision))
  }

  async #noting<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof StoreCorruptError) this.#options.onDamage(error)
      throw error
    }
  }
}

/** That a stored record is what was written there. @throws StoreCorruptError */
export function verifyStateRecord(key: Buffer, value: Buffer): void {
  contentOf(key, value)
}

export function storedKey(key: Buffer): Buffer {
  const stored = Buffer.allocUnsafe(1 + key.length)
  stored[0] = KIND.state
  stored.set(key, 1)
  return stored
}

/** An end that is left open is that of the state. */
function storedRange({ gte, gt, lt, lte }: KeyRange): KeyRange {
  const from = gt === undefined ? { gte: storedKey(gte ?? Buffer.alloc(0)) } : { gt: storedKey(gt) }
  if (lte !== undefined) return { ...from, lte: storedKey(lte) }
  return { ...from, lt: lt === undefined ? Buffer.of(KIND.state + 1) : storedKey(lt) }
}

export function storedValue(key: Buffer, content: Buffer): Buffer {
  const value = Buffer.allocUnsafe(CHECK_LENGTH + content.length)
  value.set(content, CHECK_LENGTH)
  return sealValue(key, value)
}

/** @throws StoreCorruptError */
export function contentOf(key: Buffer, value: Buffer): Buffer {
  const content = openChecked(key, value)
  if (content !== undefined) return content
  const name = JSON.stringify(key.toString('utf8', 1))
  throw new StoreCorruptError(
    `the stored state ${name} is damaged; a backup may have it, millrace state verify --repair gives it up`,
  )
}
