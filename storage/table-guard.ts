import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { readFileIfExists } from './files.js'
import { isBlockIntact, readLayout, readManifest, tableFile, type KeySpan, type TableInfo } from './leveldb-files.js'
import { errorCode, StoreCorruptError } from './store-errors.js'

/** Bytes checked before other work gets its turn: a few milliseconds. */
const BYTES_PER_TURN = 2 * 1024 * 1024

/** Tables that LevelDB may compact by itself soon after it was opened: levels below this one. */
const EAGER_LEVELS = 2

/** Keys that lie in the damaged part of a table. */
export interface DamagedSpan {
  readonly file: string
  readonly span: KeySpan
}

/**
 * Checks tables that an earlier run has written before LevelDB reads them: at rest, bits flip and pages turn to zeros,
 * LevelDB does not look at its checksums, and some damage makes it end the process. A table is checked once, when it is
 * first needed; what this run writes is not checked.
 */
export class TableGuard {
  readonly #directory: string
  /** Not yet checked. */
  readonly #unchecked: Map<number, TableInfo>
  readonly #checking = new Map<number, Promise<void>>()
  readonly #bad: { readonly table: TableInfo; readonly span: KeySpan }[] = []

  private constructor(directory: string, tables: readonly TableInfo[]) {
    this.#directory = directory
    this.#unchecked = new Map(tables.map((table) => [table.number, table]))
  }

  /** To be called before the database is opened. Reads no table. */
  static async load(directory: string): Promise<TableGuard> {
    const current = await readFileIfExists(join(directory, 'CURRENT'))
    const name = current?.toString('latin1').trim() ?? ''
    const manifest = /^MANIFEST-\d+$/.test(name) ? await readFileIfExists(join(directory, name)) : undefined
    return new TableGuard(directory, manifest === undefined ? [] : readManifest(manifest))
  }

  /** Whether nothing is left to check and nothing was found. */
  get isClear(): boolean {
    return this.#unchecked.size === 0 && this.#bad.length === 0
  }

  /** @throws StoreCorruptError when any table is damaged */
  async checkAll(): Promise<void> {
    await this.checkTables({})
  }

  /** Checks all tables and tells which keys cannot be read any more, for who wants to know what is lost. */
  async findDamaged(): Promise<readonly DamagedSpan[]> {
    for (const table of [...this.#unchecked.values()]) await this.#check(table)
    return this.#bad.map(({ table, span }) => ({ file: tableFile(table.number), span }))
  }

  /** Checks what may be compacted without being asked for. @throws StoreCorruptError */
  async checkEager(): Promise<void> {
    for (const table of [...this.#unchecked.values()]) {
      if (table.level < EAGER_LEVELS) await this.#check(table)
    }
    this.#refuse((bad) => bad.table.level < EAGER_LEVELS)
  }

  /** That nothing with keys in the span is damaged. @throws StoreCorruptError */
  async checkKeys(span: KeySpan): Promise<void> {
    if (this.#unchecked.size > 0) await this.#checkOverlapping(span)
    if (this.#bad.length > 0) this.#refuse((bad) => overlap(bad.span, span))
  }

  /** That no table with keys in the span is damaged anywhere, since it will be read as a whole. @throws StoreCorruptError */
  async checkTables(span: KeySpan): Promise<void> {
    if (this.#unchecked.size > 0) await this.#checkOverlapping(span)
    if (this.#bad.length > 0) this.#refuse((bad) => overlap(spanOf(bad.table), span))
  }

  #refuse(matches: (bad: { readonly table: TableInfo; readonly span: KeySpan }) => boolean): void {
    const bad = this.#bad.find(matches)
    if (bad === undefined) return
    throw new StoreCorruptError(
      `the table ${tableFile(bad.table.number)} in ${this.#directory} is damaged; restore the data directory from a backup`,
    )
  }

  async #checkOverlapping(span: KeySpan): Promise<void> {
    for (const table of [...this.#unchecked.values()]) {
      if (overlap(spanOf(table), span)) await this.#check(table)
    }
  }

  #check(table: TableInfo): Promise<void> {
    let checking = this.#checking.get(table.number)
    if (checking === undefined) {
      checking = this.#find(table).finally(() => this.#checking.delete(table.number))
      this.#checking.set(table.number, checking)
    }
    return checking
  }

  async #find(table: TableInfo): Promise<void> {
    const bytes = await this.#read(table)
    // Gone because it was compacted away meanwhile, or lost: LevelDB will tell.
    const spans = bytes === undefined ? [] : await damagedSpans(bytes)
    for (const span of spans) this.#bad.push({ table, span: span === 'all' ? spanOf(table) : span })
    this.#unchecked.delete(table.number)
  }

  async #read(table: TableInfo): Promise<Buffer | undefined> {
    try {
      return await readFile(join(this.#directory, tableFile(table.number)))
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined
      throw error
    }
  }
}

/** Spans of keys in damaged blocks of a table. */
async function damagedSpans(bytes: Buffer): Promise<(KeySpan | 'all')[]> {
  const layout = readLayout(bytes)
  if (layout === undefined) return ['all']
  if (!layout.other.every((block) => isBlockIntact(bytes, block))) return ['all']
  const spans: KeySpan[] = []
  let checked = 0
  let from: Buffer | undefined
  for (const block of layout.data) {
    if (!isBlockIntact(bytes, block)) spans.push({ from, to: block.last })
    from = block.last
    checked += block.size
    if (checked < BYTES_PER_TURN) continue
    checked = 0
    await nextTurn()
  }
  return spans
}

function spanOf({ smallest, largest }: TableInfo): KeySpan {
  return { from: smallest, to: largest }
}

export function overlap(a: KeySpan, b: KeySpan): boolean {
  return !isBelow(a.to, b.from) && !isBelow(b.to, a.from)
}

function isBelow(end: Buffer | undefined, start: Buffer | undefined): boolean {
  return end !== undefined && start !== undefined && Buffer.compare(end, start) < 0
}
