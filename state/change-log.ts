import { CompactedError } from './errors.js'

/** What a commit did to one entry. */
export interface Change {
  readonly key: string
  /** JSON text; `undefined` when the entry is gone. */
  readonly value: string | undefined
  /** Whether it went because its time was over. */
  readonly isExpiry: boolean
  /** The record as it was before. */
  readonly before: Buffer | undefined
}

/** What changed at once. */
export interface CommittedChanges {
  readonly revision: number
  /** In the order in which they were made; several may be of one key. */
  readonly changes: readonly Change[]
}

/** What is remembered at most. */
const MAX_COMMITS = 65_536
const MAX_BYTES = 16 * 1024 * 1024

/** Bytes that a change takes beside its texts, about. */
const OVERHEAD = 128

/** The newest changes, in memory: for those who watch, and for reading at a revision that is not the newest. */
export class ChangeLog {
  #commits: CommittedChanges[] = []
  #sizes: number[] = []
  #bytes = 0
  #revision: number
  /** Changes after this revision are known. */
  #oldest: number
  #waiting: (() => void)[] = []

  constructor(revision: number) {
    this.#revision = revision
    this.#oldest = revision
  }

  get revision(): number {
    return this.#revision
  }

  add(commit: CommittedChanges): void {
    const size = commit.changes.reduce(
      (sum, { key, value, before }) => sum + OVERHEAD + 2 * key.length + (value?.length ?? 0) + (before?.length ?? 0),
      0,
    )
    this.#commits.push(commit)
    this.#sizes.push(size)
    this.#bytes += size
    this.#revision = commit.revision
    if (this.#bytes > MAX_BYTES || this.#commits.length > MAX_COMMITS) this.#forget()
    this.wake()
  }

  /** Half of it at once, so that it does not cost anything each time. */
  #forget(): void {
    const half = { bytes: this.#bytes / 2, commits: this.#commits.length / 2 }
    let count = 0
    while (count < this.#commits.length && (this.#bytes > half.bytes || count < half.commits)) {
      this.#bytes -= this.#sizes[count] ?? 0
      count++
    }
    this.#oldest = this.#commits[count - 1]?.revision ?? this.#oldest
    this.#commits = this.#commits.slice(count)
    this.#sizes = this.#sizes.slice(count)
  }

  /** What has changed since. @throws CompactedError */
  after(revision: number): readonly CommittedChanges[] {
    if (revision < this.#oldest) throw new CompactedError(revision, this.#oldest)
    if (revision >= this.#revision) return []
    let low = 0
    let high = this.#commits.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#commits[middle]?.revision ?? 0) > revision) high = middle
      else low = middle + 1
    }
    return this.#commits.slice(low)
  }

  /** Resolves at the next change, or when somebody is woken for another reason. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
