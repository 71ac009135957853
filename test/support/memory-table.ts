import type { RecordTable, TableCommit } from '../../state/index.js'
import type { RecordRange, StateCapabilities } from '../../state/index.js'

/** Records of a table elsewhere, as several processes would share them. */
export class SharedRecords {
  mark = ''
  readonly records = new Map<string, Buffer>()
  commits = 0
}

/** What becomes of one commit: done and answered, done without an answer, or neither. */
export type Fault = 'none' | 'answer-lost' | 'request-lost'

/** A table in memory with faults that a test asks for. */
export class MemoryTable implements RecordTable {
  readonly name = 'shared'
  readonly capabilities: StateCapabilities
  readonly shared: SharedRecords
  /** For the commits to come, in turn. */
  readonly faults: Fault[] = []
  /** Whether nothing at all is answered. */
  isAway = false
  isClosed = false

  constructor(shared = new SharedRecords(), capabilities: Partial<StateCapabilities> = {}) {
    this.shared = shared
    this.capabilities = {
      ...{ atomicCas: true, readYourWrites: true, durableAck: true, monotonicRevision: true },
      ...{ multiKeyTxn: true, ttl: true, fencing: true, sameCommitAppend: false },
      ...capabilities,
    }
  }

  async mark(): Promise<string> {
    await this.#answer()
    return this.shared.mark
  }

  async read(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
    await this.#answer()
    return keys.map((key) => this.shared.records.get(key.toString('latin1')))
  }

  async page({ gte, gt, lt, limit }: RecordRange): Promise<[Buffer, Buffer][]> {
    await this.#answer()
    return [...this.shared.records]
      .map(([name, content]): [Buffer, Buffer] => [Buffer.from(name, 'latin1'), content])
      .filter(
        ([key]) =>
          (gte === undefined || Buffer.compare(key, gte) >= 0) && (gt === undefined || Buffer.compare(key, gt) > 0),
      )
      .filter(([key]) => lt === undefined || Buffer.compare(key, lt) < 0)
      .sort(([a], [b]) => Buffer.compare(a, b))
      .slice(0, limit)
  }

  async commit(commit: TableCommit): Promise<boolean> {
    await this.#answer()
    const fault = this.faults.shift() ?? 'none'
    if (fault === 'request-lost') throw new Error('the request was lost')
    const isDone = this.apply(commit)
    if (fault === 'answer-lost') throw new Error('the answer was lost')
    return isDone
  }

  protected apply({ after, mark, writes }: TableCommit): boolean {
    const { shared } = this
    if (shared.mark === mark) return true
    if (shared.mark !== after) return false
    shared.mark = mark
    shared.commits++
    for (const { key, content } of writes) {
      if (content === undefined) shared.records.delete(key.toString('latin1'))
      else shared.records.set(key.toString('latin1'), content)
    }
    return true
  }

  close(): Promise<void> {
    this.isClosed = true
    return Promise.resolve()
  }

  async #answer(): Promise<void> {
    await Promise.resolve()
    if (this.isAway) throw new Error('nobody answers')
  }
}
