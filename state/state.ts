import { AbortedError, type Clock } from '../core/index.js'
import type { AppendRequest } from '../storage/index.js'
import type { StateBackend } from './backend.js'
import { ChangeLog, type CommittedChanges } from './change-log.js'
import { decideTxn, keysOfTxn } from './decide-txn.js'
import { Draft } from './draft.js'
import { entryKey, HEAD_KEY } from './record-keys.js'
import { decodeHead, decodeStored } from './records.js'
import { readPage, type Page, type ScanRequest } from './scan.js'
import type { StateLogger } from './state-logger.js'
import { StateTime } from './state-time.js'
import { Sweeper } from './sweeper.js'
import type { Entry, TxnRequest, TxnResult } from './txn.js'

/** What {@link State.open} takes. */
export interface StateOptions {
  readonly backend: StateBackend
  readonly clock: Clock
  readonly logger: StateLogger
  /** Keys and values of all entries, bytes. */
  readonly maxBytes: number
}

/** How the state is. */
export interface StateInfo {
  readonly backend: string
  /** Keys belong to one node, which decides about them alone. */
  readonly scope: 'node'
  readonly revision: number
  readonly entries: number
  readonly bytes: number
  readonly maxBytes: number
  /** Whether events are appended in the commit of the transaction that they belong to. */
  readonly sameCommitAppend: boolean
  /** Whether what is acknowledged survives the end of the process. */
  readonly durable: boolean
}

/** Counts since start. */
export interface StateCounters {
  readonly reads: number
  readonly commits: number
  /** Transactions whose conditions did not hold. */
  readonly conflicts: number
  /** Transactions that were refused with an error. */
  readonly refused: number
  /** Entries that were taken away because their time was over. */
  readonly expired: number
  readonly watchers: number
}

/** By how much revisions jump when the store goes on from a backup, so that none of those given out since is valid. */
const EPOCH_STEP = 2 ** 32

/** Bytes that a write takes beside its texts, about. */
const OVERHEAD = 256

/**
 * The strongly consistent state of one node: entries under keys, changed by transactions that are decided one after the
 * other, each durable before it is visible, and all of it or nothing. Made by {@link State.open}.
 */
export class State implements AsyncDisposable {
  readonly #options: StateOptions
  readonly #time: StateTime
  readonly #log: ChangeLog
  readonly #sweeper: Sweeper
  readonly #closing = new AbortController()
  /** Commits that may be visible already, while nobody has been told. */
  #underWay = 0
  #counters = { reads: 0, commits: 0, conflicts: 0, refused: 0, expired: 0, watchers: 0 }
  #closed: Promise<void> | undefined

  private constructor(options: StateOptions, time: StateTime, revision: number) {
    this.#options = options
    this.#time = time
    this.#log = new ChangeLog(revision)
    this.#sweeper = new Sweeper({
      records: options.backend.records,
      time,
      logger: options.logger,
      change: (keys, decide) => this.#change(keys, [], 0, decide),
    })
  }

  /** Notes that a run begins, from where on its records expire by the monotonic clock. */
  static async open(options: StateOptions): Promise<State> {
    const { backend, clock, logger, maxBytes } = options
    const { records } = backend
    const found = await records.get(HEAD_KEY)
    const head = decodeHead(found)
    const time = new StateTime(clock, head.run + 1, head.wallMs)
    if (time.isBehind) {
      logger.warn(
        { event: 'state.clock.behind', lastMs: head.wallMs },
        'the clock is behind the last time that was stored; times to live go on from that one',
      )
    }
    const revision = firstRevision(options, found === undefined, head.revision, head.epoch)
    await records.commit({
      keys: [HEAD_KEY],
      appends: [],
      bytes: OVERHEAD,
      decide: (view) => {
        new Draft(view, time, maxBytes).putHead({ revision, epoch: records.epoch })
      },
      committed: () => undefined,
    })
    const state = new State(options, time, revision)
    state.#sweeper.start()
    return state
  }

  /** Revision of the newest change. */
  get revision(): number {
    return this.#log.revision
  }

  get counters(): StateCounters {
    return this.#counters
  }

  async get(key: string): Promise<Entry | undefined> {
    this.#counters.reads++
    const content = await this.#options.backend.records.get(entryKey(key))
    const stored = content === undefined ? undefined : decodeStored(content)
    if (stored === undefined || this.#time.hasEnded(stored.lifetime)) return undefined
    const expiresAt = this.#time.expiresAt(stored.lifetime)
    return { key, value: stored.text, version: stored.version, ...(expiresAt === undefined ? {} : { expiresAt }) }
  }

  /** Entries below a prefix in the order of their keys, as they were at one revision. @throws CompactedError */
  async scan(request: ScanRequest): Promise<Page> {
    this.#counters.reads++
    return readPage(request, {
      records: this.#options.backend.records,
      log: this.#log,
      time: this.#time,
      settled: () => this.#settled(),
    })
  }

  /** @throws errors of the decision and of the store; then nothing has happened */
  async txn(request: TxnRequest): Promise<TxnResult> {
    const appends = request.append.map(({ request: events }) => events)
    try {
      const answer = await this.#change(keysOfTxn(request), appends, sizeOf(request), (draft) =>
        decideTxn(draft, request),
      )
      if (!answer.succeeded) this.#counters.conflicts++
      return answer
    } catch (error) {
      this.#counters.refused++
      throw error
    }
  }

  /**
   * What is committed from now on, or after a revision; of each commit the changes below the prefix, without gap or double.
   * Begins with the revision after which it goes on.
   *
   * @throws CompactedError when that is too long ago, also for a reader that falls that far behind; AbortedError
   */
  async *watch(prefix: string, from: number | undefined, signal: AbortSignal): AsyncGenerator<CommittedChanges> {
    let revision = from ?? this.#log.revision
    const ended = AbortSignal.any([signal, this.#closing.signal])
    const wake = (): void => {
      this.#log.wake()
    }
    ended.addEventListener('abort', wake)
    this.#counters.watchers++
    try {
      this.#log.after(revision)
      yield { revision, changes: [] }
      for (;;) {
        if (ended.aborted) throw new AbortedError('the watch was given up', { cause: ended.reason })
        const commits = this.#log.after(revision)
        // Straight behind the look at the signal, so that its coming is not missed.
        if (commits.length === 0) await this.#log.changed()
        for (const commit of commits) {
          revision = commit.revision
          const changes = commit.changes.filter(({ key }) => key.startsWith(prefix))
          if (changes.length > 0) yield { revision, changes }
        }
      }
    } finally {
      this.#counters.watchers--
      ended.removeEventListener('abort', wake)
    }
  }

  /** Takes away what is expired; done now and then by itself. */
  sweep(): Promise<void> {
    return this.#sweeper.sweep()
  }

  async info(): Promise<StateInfo> {
    const { backend, maxBytes } = this.#options
    const { revision, entries, bytes } = decodeHead(await backend.records.get(HEAD_KEY))
    const { sameCommitAppend, durableAck } = backend.capabilities
    return {
      backend: backend.name,
      scope: 'node',
      revision,
      entries,
      bytes,
      maxBytes,
      sameCommitAppend,
      durable: durableAck,
    }
  }

  /** Ends watches and the sweeper; the records are closed by their owner. Idempotent. */
  close(): Promise<void> {
    return (this.#closed ??= this.#shutdown())
  }

  async #shutdown(): Promise<void> {
    this.#closing.abort()
    await this.#sweeper.stop()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Resolves when everybody has been told of all that could be read when it was called. */
  async #settled(): Promise<void> {
    if (this.#underWay === 0) return
    await this.#options.backend.records.commit({
      keys: [],
      appends: [],
      bytes: 0,
      decide: () => undefined,
      committed: () => undefined,
    })
  }

  /** One decision in a commit of its own; what it returns is the answer. */
  async #change<R>(
    keys: readonly Buffer[],
    appends: readonly AppendRequest[],
    bytes: number,
    decide: (draft: Draft) => R,
  ): Promise<R> {
    const { backend, maxBytes } = this.#options
    let outcome: { readonly answer: R; readonly changes: CommittedChanges } | undefined
    this.#underWay++
    try {
      await backend.records.commit({
        keys,
        appends,
        bytes: bytes + OVERHEAD,
        decide: (view) => {
          const draft = new Draft(view, this.#time, maxBytes)
          const answer = decide(draft)
          outcome = { answer, changes: { revision: draft.finish(), changes: draft.changes } }
        },
        committed: () => {
          this.#noted(outcome?.changes)
        },
      })
    } finally {
      this.#underWay--
    }
    if (outcome === undefined) throw new TypeError('a commit without a decision')
    return outcome.answer
  }

  #noted(commit: CommittedChanges | undefined): void {
    if (commit === undefined || commit.changes.length === 0) return
    this.#counters.commits++
    for (const { isExpiry } of commit.changes) if (isExpiry) this.#counters.expired++
    this.#log.add(commit)
  }
}

/** Never one that was given out before. */
function firstRevision({ backend, clock }: StateOptions, isNew: boolean, revision: number, epoch: number): number {
  // What is lost at exit leaves nothing to go on from but the time.
  if (isNew && !backend.capabilities.durableAck) return clock.nowMicros()
  return isNew || epoch === backend.records.epoch ? revision : revision + EPOCH_STEP
}

function sizeOf({ then, else: otherwise }: TxnRequest): number {
  let bytes = 0
  for (const operation of [...then, ...otherwise]) {
    bytes += OVERHEAD + operation.key.length + (operation.kind === 'set' ? operation.value.length : 0)
  }
  return bytes
}
