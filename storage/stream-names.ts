import type { Database } from './database.js'
import { singleKey } from './keys.js'
import { decodeSingle, encodeSingle } from './single-value.js'
import { StoreCorruptError } from './store-errors.js'
import { EPOCH_SIZE } from './stream-table.js'

const NAMES = 'stream-names'

/** Name of stream 0, which needs no registration. */
export const DEFAULT_STREAM = 'default'

/** Which number each stream name has. A name keeps its number for ever. */
export class StreamNames {
  readonly #meta: Database
  #numbers: ReadonlyMap<string, number> = new Map()
  #names: ReadonlyMap<number, string> = new Map()
  #registering: Promise<unknown> = Promise.resolve()

  private constructor(meta: Database, numbers: ReadonlyMap<string, number>) {
    this.#meta = meta
    this.#set(numbers)
  }

  /** @throws StoreCorruptError */
  static async load(meta: Database): Promise<StreamNames> {
    const value = await meta.get(singleKey(NAMES))
    return new StreamNames(
      meta,
      value === undefined ? new Map([[DEFAULT_STREAM, 0]]) : parse(decodeSingle(NAMES, value)),
    )
  }

  get size(): number {
    return this.#numbers.size
  }

  numberOf(name: string): number | undefined {
    return this.#numbers.get(name)
  }

  nameOf(number: number): string | undefined {
    return this.#names.get(number)
  }

  /** The name of an own stream, of whatever epoch. */
  nameOfStream(number: number): string | undefined {
    return this.#names.get(number % EPOCH_SIZE)
  }

  has(number: number): boolean {
    return this.#names.has(number)
  }

  /**
   * Gives new names the numbers that follow, in order, durably.
   *
   * @param taken highest number that is in use by a stream, whatever the table says
   */
  register(names: readonly string[], taken: number): Promise<void> {
    const registered = this.#registering.then(() => this.#register(names, taken))
    this.#registering = registered.catch(() => undefined)
    return registered
  }

  async #register(names: readonly string[], taken: number): Promise<void> {
    const numbers = new Map(this.#numbers)
    let next = Math.max(taken, ...numbers.values()) + 1
    for (const name of names) if (!numbers.has(name)) numbers.set(name, next++)
    if (numbers.size === this.#numbers.size) return
    const value = encodeSingle(NAMES, [...numbers])
    await this.#meta.write([{ type: 'put', key: singleKey(NAMES), value }], true)
    this.#set(numbers)
  }

  #set(numbers: ReadonlyMap<string, number>): void {
    this.#numbers = numbers
    this.#names = new Map([...numbers].map(([name, number]) => [number, name]))
  }
}

function parse(value: unknown): ReadonlyMap<string, number> {
  const numbers = new Map<string, number>()
  for (const entry of Array.isArray(value) ? (value as unknown[]) : []) {
    const [name, number] = Array.isArray(entry) ? (entry as unknown[]) : []
    if (typeof name !== 'string' || typeof number !== 'number')
      throw new StoreCorruptError('the stream names are damaged')
    numbers.set(name, number)
  }
  return numbers
}
