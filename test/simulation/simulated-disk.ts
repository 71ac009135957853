/** The disk of a simulated node: what its databases hold, how long it takes, and how it fails. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import type { VirtualTime } from '../../replication/index.js'
import type { Random } from '../support/random.js'

type Step =
  | { readonly type: 'put'; readonly key: Buffer; readonly value: Buffer }
  | { readonly type: 'del'; readonly key: Buffer }

interface Range {
  readonly gte?: Buffer
  readonly gt?: Buffer
  readonly lt?: Buffer
  readonly lte?: Buffer
  readonly limit?: number
  readonly reverse?: boolean
}

/** Keys and values in key order, and how to undo what a power cut may take. Keys are bytes as latin1 text. */
class Table {
  #keys: string[] = []
  #values = new Map<string, Buffer>()
  /** Of each write since the last sync: what was there before. */
  #unsynced: (readonly (readonly [string, Buffer | undefined])[])[] = []

  get(key: Buffer): Buffer | undefined {
    const value = this.#values.get(key.toString('latin1'))
    return value === undefined ? undefined : Buffer.from(value)
  }

  write(steps: readonly Step[], sync: boolean): void {
    const before: [string, Buffer | undefined][] = []
    for (const step of steps) {
      const key = step.key.toString('latin1')
      before.push([key, this.#values.get(key)])
      this.#set(key, step.type === 'put' ? Buffer.from(step.value) : undefined)
    }
    if (sync) this.#unsynced = []
    else this.#unsynced.push(before)
  }

  select({ limit = Infinity, reverse = false, ...range }: Range): [Buffer, Buffer][] {
    const [from, to] = this.#bounds(range)
    const keys = this.#keys.slice(from, to)
    if (reverse) keys.reverse()
    return keys.slice(0, limit).map((key) => [Buffer.from(key, 'latin1'), Buffer.from(this.#values.get(key) ?? [])])
  }

  /** A power cut takes the newest writes that were not synced, some or all. */
  lose(random: Random): void {
    const lost = random.below(this.#unsynced.length + 1)
    for (const before of this.#unsynced.splice(this.#unsynced.length - lost).reverse()) {
      for (const [key, value] of [...before].reverse()) this.#set(key, value)
    }
    this.#unsynced = []
  }

  copy(): Table {
    const copy = new Table()
    copy.#keys = [...this.#keys]
    copy.#values = new Map(this.#values)
    return copy
  }

  #bounds({ gte, gt, lt, lte }: Range): [number, number] {
    const from = gte !== undefined ? this.#find(gte) : gt !== undefined ? this.#find(gt, true) : 0
    const to = lt !== undefined ? this.#find(lt) : lte !== undefined ? this.#find(lte, true) : this.#keys.length
    return [from, Math.max(from, to)]
  }

  #find(key: Buffer, behind = false): number {
    return this.#place(key.toString('latin1'), behind)
  }

  /** Where a key is or would be; with `behind` the place after it. */
  #place(key: string, behind = false): number {
    let low = 0
    let high = this.#keys.length
    while (low < high) {
      const middle = (low + high) >> 1
      const at = this.#keys[middle] ?? ''
      if (at < key || (behind && at === key)) low = middle + 1
      else high = middle
    }
    return low
  }

  #set(key: string, value: Buffer | undefined): void {
    const has = this.#values.has(key)
    if (value === undefined) {
      if (has) this.#keys.splice(this.#place(key), 1)
      this.#values.delete(key)
      return
    }
    if (!has) this.#keys.splice(this.#place(key), 0, key)
    this.#values.set(key, value)
  }
}

/** How a disk behaves at the moment. */
export interface DiskConditions {
  /** Of a read or a write, and of a sync beside that, at most; milliseconds of virtual time. */
  readonly accessMs: number
  readonly syncMs: number
  readonly isFull: boolean
  /** Probability that a write fails. */
  readonly failing: number
}

export const GOOD_DISK: DiskConditions = { accessMs: 0, syncMs: 0, isFull: false, failing: 0 }

/** What the databases of a node held at some time. */
export type DiskImage = ReadonlyMap<string, Table>

/**
 * The databases of one node. A process that ends takes nothing with it that it has written; a power cut takes what was
 * not synced. Who used the disk before either is cut off from it.
 */
export class SimulatedDisk {
  #conditions = GOOD_DISK
  /** Whether it ever refused a write. */
  wasHarmed = false
  readonly directory: string
  readonly #time: VirtualTime
  readonly #random: Random
  #tables = new Map<string, Table>()
  /** Writes under way, in order, that a crash may still bring to disk. */
  #pending: { readonly table: Table; readonly steps: readonly Step[]; readonly sync: boolean }[] = []
  #life = 0
  #busyUntilMs = 0

  constructor(directory: string, time: VirtualTime, random: Random) {
    this.directory = directory
    this.#time = time
    this.#random = random
    disks.set(directory, this)
  }

  get conditions(): DiskConditions {
    return this.#conditions
  }

  set conditions(conditions: DiskConditions) {
    this.#conditions = conditions
    if (conditions.isFull || conditions.failing > 0) this.wasHarmed = true
  }

  /** Who uses the disk from now on; everybody before is cut off. */
  get life(): number {
    return this.#life
  }

  image(): DiskImage {
    return new Map([...this.#tables].map(([location, table]) => [location, table.copy()]))
  }

  restore(image: DiskImage): void {
    this.#tables = new Map([...image].map(([location, table]) => [location, table.copy()]))
  }

  /** The process that uses the disk is no more. */
  crash(isPowerCut: boolean): void {
    this.#life++
    const written = this.#random.below(this.#pending.length + 1)
    for (const { table, steps, sync } of this.#pending.splice(0).slice(0, written)) table.write(steps, sync)
    if (isPowerCut) for (const table of this.#tables.values()) table.lose(this.#random)
  }

  remove(): void {
    this.#life++
    disks.delete(this.directory)
  }

  /** Why a write fails, when it does. */
  fault(): Error | undefined {
    const { isFull, failing } = this.conditions
    if (isFull) return new Error('IO error: No space left on device')
    return this.#random.chance(failing) ? new Error('IO error: Input/output error') : undefined
  }

  async open(life: number, location: string): Promise<void> {
    await this.#access(life, 0)
    if (!this.#tables.has(location)) this.#tables.set(location, new Table())
  }

  async read<T>(life: number, location: string, read: (table: Table) => T): Promise<T> {
    await this.#access(life, 0)
    return read(this.#table(location))
  }

  async write(life: number, location: string, steps: readonly Step[], sync: boolean): Promise<void> {
    const fault = this.fault()
    const pending = { table: this.#table(location), steps, sync }
    if (life === this.#life && fault === undefined) this.#pending.push(pending)
    await this.#access(life, sync ? 1 : 0)
    if (fault !== undefined) throw fault
    this.#pending.shift()
    pending.table.write(steps, sync)
  }

  #table(location: string): Table {
    const table = this.#tables.get(location)
    if (table === undefined) throw new Error(`IO error: ${location} is gone`)
    return table
  }

  /** One thing after the other. */
  async #access(life: number, syncs: number): Promise<void> {
    const { accessMs, syncMs } = this.conditions
    const nowMs = this.#time.monotonicMs()
    const tookMs = (accessMs + syncs * syncMs) * (this.#random.uint32() / 2 ** 32)
    if (tookMs > 0 || this.#busyUntilMs > nowMs) {
      this.#busyUntilMs = Math.max(nowMs, this.#busyUntilMs) + tookMs
      await new Promise<void>((resolve) => this.#time.after(this.#busyUntilMs - nowMs, resolve))
    } else await new Promise<void>((resolve) => setImmediate(resolve))
    if (life !== this.#life) throw new Error('IO error: the process has ended')
  }
}

const disks = new Map<string, SimulatedDisk>()

/** The disk that a file lies on. */
export function diskOf(path: string): SimulatedDisk | undefined {
  for (let at = path; at !== dirname(at); at = dirname(at)) {
    const disk = disks.get(at)
    if (disk !== undefined) return disk
  }
  return undefined
}

interface Handle {
  readonly disk: SimulatedDisk
  readonly life: number
  isOpen: boolean
}

const handles = new WeakMap<object, Handle>()

function handleOf(level: object): Handle {
  const handle = handles.get(level)
  if (handle?.isOpen !== true)
    throw Object.assign(new Error('Database is not open'), { code: 'LEVEL_DATABASE_NOT_OPEN' })
  return handle
}

type Level = ClassicLevel<Buffer, Buffer>

/** What stands in for LevelDB. */
const standIn = {
  async open(this: Level): Promise<void> {
    if (handles.get(this)?.isOpen === true) return
    const disk = diskOf(this.location)
    if (disk === undefined) throw new Error(`${this.location} lies on no simulated disk`)
    const life = handles.get(this)?.life ?? disk.life
    await disk.open(life, this.location)
    handles.set(this, { disk, life, isOpen: true })
    mkdirSync(this.location, { recursive: true })
    // By this file the store sees that there is a database.
    writeFileSync(join(this.location, 'CURRENT'), '')
  },
  async close(this: Level): Promise<void> {
    const handle = handles.get(this)
    if (handle !== undefined) handle.isOpen = false
  },
  async get(this: Level, key: Buffer): Promise<Buffer | undefined> {
    const { disk, life } = handleOf(this)
    return disk.read(life, this.location, (table) => table.get(key))
  },
  async getMany(this: Level, keys: Buffer[]): Promise<(Buffer | undefined)[]> {
    const { disk, life } = handleOf(this)
    return disk.read(life, this.location, (table) => keys.map((key) => table.get(key)))
  },
  iterator(this: Level, range: Range) {
    return {
      all: async () => {
        const { disk, life } = handleOf(this)
        return disk.read(life, this.location, (table) => table.select(range))
      },
    }
  },
  keys(this: Level, range: Range) {
    return {
      all: async () => {
        const { disk, life } = handleOf(this)
        return disk.read(life, this.location, (table) => table.select(range).map(([key]) => key))
      },
    }
  },
  async put(this: Level, key: Buffer, value: Buffer, { sync = false }: { sync?: boolean } = {}): Promise<void> {
    const { disk, life } = handleOf(this)
    await disk.write(life, this.location, [{ type: 'put', key, value: Buffer.from(value) }], sync)
  },
  batch(this: Level) {
    const steps: Step[] = []
    return {
      put: (key: Buffer, value: Buffer) => steps.push({ type: 'put', key, value }),
      del: (key: Buffer) => steps.push({ type: 'del', key }),
      write: async ({ sync = false }: { sync?: boolean } = {}) => {
        const { disk, life } = handleOf(this)
        await disk.write(life, this.location, steps, sync)
      },
    }
  },
  async clear(this: Level, range: Range): Promise<void> {
    const { disk, life } = handleOf(this)
    const found = await disk.read(life, this.location, (table) => table.select(range))
    await disk.write(
      life,
      this.location,
      found.map(([key]) => ({ type: 'del', key })),
      false,
    )
  },
  async compactRange(): Promise<void> {
    // There is nothing to give back.
  },
  getProperty(): string {
    return '0'
  },
}

for (const [name, value] of Object.entries(standIn)) Object.defineProperty(ClassicLevel.prototype, name, { value })
Object.defineProperty(ClassicLevel.prototype, 'status', {
  get(this: Level): string {
    return handles.get(this)?.isOpen === true ? 'open' : 'closed'
  },
})
