import type { RecordRange, StateCapabilities } from './backend.js'

/** A record that is written, or deleted when it has no content. */
export interface TableWrite {
  readonly key: Buffer
  readonly content: Buffer | undefined
}

/** Writes that are done at once, if nothing else was committed since the commit before. */
export interface TableCommit {
  /** Mark of the commit that this one follows; empty before the first. */
  readonly after: string
  /** Its own mark, which no other commit has. */
  readonly mark: string
  /** Of different keys. */
  readonly writes: readonly TableWrite[]
}

/**
 * Records of one node in another place. The mark of the newest commit stands beside them and is what commits are compared
 * with: of several that follow the same one, one is done. Any method may be called again when it failed.
 */
export interface RecordTable {
  readonly name: string
  readonly capabilities: StateCapabilities
  /** Mark of the newest commit; empty when there was none. */
  mark(): Promise<string>
  /** In the order of the keys, and of one moment. */
  read(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]>
  /** In the order of the bytes of the keys, and of one moment. */
  page(range: RecordRange): Promise<[Buffer, Buffer][]>
  /**
   * Resolves when it is durable. Of a commit that was done before, it says so once more.
   *
   * @returns whether it is done; else another one has come between, and nothing was written
   */
  commit(commit: TableCommit): Promise<boolean>
  /** Gives connections back. Idempotent. */
  close(): Promise<void>
}

/** Everything but a commit that also holds events. */
export const REMOTE_CAPABILITIES: StateCapabilities = {
  atomicCas: true,
  readYourWrites: true,
  durableAck: true,
  monotonicRevision: true,
  multiKeyTxn: true,
  ttl: true,
  fencing: true,
  sameCommitAppend: false,
}
