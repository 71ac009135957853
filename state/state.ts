import { AbortedError, type Clock } from '../core/index.js'
import { StoreCorruptError, type AppendRequest, type StateView } from '../storage/index.js'
import type { RecordStore, StateBackend } from './backend.js'
import { ChangeLog, type Change, type CommittedChanges } from './change-log.js'
import { checkRecords, type StateCheck } from './check.js'
import { decideImport, keysOfImport, RehearsalEnd } from './decide-import.js'
import { decideTxn, keysOfTxn } from './decide-txn.js'
import { Dedup } from './dedup.js'
import { Draft } from './draft.js'
import { exportItems, type ExportRequest } from './export.js'
import { FencedError, LockLostError } from './errors.js'
import { Locks } from './locks.js'
import { RateLimits } from './rate-limits.js'
import { entryKey, HEAD_KEY } from './record-keys.js'
import { decodeHead, decodeStored, encodeHead, FIRST_HEAD, type Head } from './records.js'
import { isMendable, repairRecords } from './repair.js'
import { readPage, type Page, type ScanRequest } from './scan.js'
import type { StateLogger } from './state-logger.js'
import { StateTime } from './state-time.js'
import { Sweeper } from './sweeper.js'
import type { ExportedItem, ImportReport, ImportRequest } from './transfer.js'
import type { Entry, TxnRequest, TxnResult } from './txn.js'

/** What {@link State.open} takes. */
export interface StateOptions {
  readonly backend: StateBackend
  readonly clock: Clock
  readonly logger: StateLogger
  /** Keys and values of all entries, bytes. */
  readonly maxBytes: number
  /** Milliseconds between two looks for what is expired; by default a second. */
  readonly sweepMs?: number
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
  /** Writes refused since the grant on which they depend had ended. */
  readonly fenced: number
  /** Locks granted. */
  readonly lockGrants: number
  /** Who waits for a lock at the moment. */
  readonly lockWaiters: number
  /** Things to be done once that somebody began. */
  readonly dedupClaims: number
}

/** By how much revisions jump when the store goes on from a backup, so that none of those given out since is valid. */
const EPOCH_STEP = 2 ** 32

/** By how much the number of the run jumps when it was lost. */
const RUN_STEP = 2 ** 20

/** How often a repair looks for what is left. */
const REPAIR_ROUNDS = 100

/** Milliseconds between two looks for what is expired. */
const SWEEP_MS = 1000

/** Bytes that a write takes beside its texts, about. */
const OVERHEAD = 256

/**
 * The strongly consistent state of one node: entries under keys, changed by transactions that are decided one after the
 * other, each durable before it is visible, and all of it or nothing. Made by {@link State.open}.
 */
export class State implements AsyncDisposable {
  readonly locks: Locks
  readonly dedup: Dedup
  readonly limits: RateLimits
  readonly #options: StateOptions
  readonly #time: StateTime
  readonly #log: ChangeLog
  readonly #sweeper: Sweeper
  readonly #closing = new AbortController()
  /** Commits that may be visible already, while nobody has been told. */
  #underWay = 0
  #counters = { reads: 0, commits: 0, conflicts: 0, refused: 0, expired: 0, watchers: 0, fenced: 0 }
  /** Until when nobody else may write, if so. */
  #held: Promise<void> | undefined
  #closed: Promise<void> | undefined

  private constructor(options: StateOptions, time: StateTime, revision: number) {
    this.#options = options
    this.#time = time
    this.#log = new ChangeLog(revision)
    const { logger, backend, sweepMs = SWEEP_MS } = options
    const change = <R>(keys: readonly Buffer[], decide: (draft: Draft) => R, bytes = 0): Promise<R> =>
      this.#change(keys, [], bytes, decide)
    this.#sweeper = new Sweeper({ records: backend.records, time, logger, change, everyMs: sweepMs })
    this.locks = new Locks({ records: backend.records, time, logger, change })
    this.dedup = new Dedup(change)
    this.limits = new RateLimits(backend.records, change)
  }

  /** Notes that a run begins, from where on its records expire by the monotonic clock. */
  static async open(options: StateOptions): Promise<State> {
    const { backend, clock, logger } = options
    const { records } = backend
    const found = await readHead(records, logger)
    const head = found ?? FIRST_HEAD
    const time = new StateTime(clock, head.run + 1, head.wallMs)
    if (time.isBehind) {
      logger.warn(
        { event: 'state.clock.behind', lastMs: head.wallMs },
        'the clock is behind the last time that was stored; times to live go on from that one',
      )
    }
    const revision = firstRevision(options, found === undefined, head.revision, head.epoch)
    const { wallMs, run } = time
    await writeHead(records, { ...head, revision, epoch: records.epoch, wallMs, run })
    const state = new State(options, time, revision)
    state.#sweeper.start()
    return state
  }

  /** Revision of the newest change. */
  get revision(): number {
    return this.#log.revision
  }

  get counters(): StateCounters {
    const { locks, dedup } = this
    return { ...this.#counters, lockGrants: locks.granted, lockWaiters: locks.waiting, dedupClaims: dedup.claimed }
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
      if (error instanceof FencedError) this.#counters.fenced++
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

  /**
   * What another state could take over, entries as they are at this moment.
   *
   * @throws CompactedError when so much changes meanwhile that the moment is not remembered any more
   */
  export(request: ExportRequest): { readonly revision: number; readonly items: AsyncGenerator<ExportedItem> } {
    const { records } = this.#options.backend
    const { revision } = this
    const source = { records, time: this.#time, scan: (page: ScanRequest) => this.scan(page) }
    return { revision, items: exportItems(request, revision, source) }
  }

  /**
   * Takes over what was exported elsewhere, all of the request or nothing. What is there already stays, so an import that
   * broke off may be begun anew.
   *
   * @throws StateFullError
   */
  async import(request: ImportRequest): Promise<ImportReport> {
    const bytes = request.items.reduce((sum, { name, value }) => sum + OVERHEAD + name.length + value.length, 0)
    if (!request.isRehearsal) await this.#goBeyond(request.revision)
    try {
      return await this.#change(keysOfImport(request), [], bytes, (draft) => decideImport(draft, request))
    } catch (error) {
      if (error instanceof RehearsalEnd) return error.report
      throw error
    }
  }

  /** Takes away what is expired; done now and then by itself. */
  sweep(): Promise<void> {
    return this.#sweeper.sweep()
  }

  /**
   * Looks at every record. With `repairs` writes wait meanwhile: what is damaged is given up, and what can be found out anew
   * is written anew.
   */
  async check(repairs: boolean, signal: AbortSignal): Promise<StateCheck> {
    const { records } = this.#options.backend
    if (repairs) return this.#alone(() => this.#repair(signal))
    const check = await checkRecords(records, signal)
    if (check.faults.every(({ kind }) => kind !== 'damaged')) records.mended?.()
    return check
  }

  /** Takes away what is expired, and gives back its room. */
  async compact(): Promise<void> {
    await this.sweep()
    await this.#options.backend.records.compact?.()
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

  /** Ends watches, waits for locks and the sweeper; the records are closed by their owner. Idempotent. */
  close(): Promise<void> {
    return (this.#closed ??= this.#shutdown())
  }

  async #shutdown(): Promise<void> {
    this.#closing.abort()
    this.locks.close()
    const { backend, maxBytes } = this.#options
    const draft = (view: StateView): Draft => new Draft(view, this.#time, maxBytes)
    try {
      // What has ended does not go on behind the restart, whatever the wall clock says then.
      await this.#sweeper.stop()
      await noteTime(backend.records, draft)
    } catch (error) {
      // It is then as if the node were killed, which loses nothing.
      this.#options.logger.warn({ err: error }, 'what of the state has expired could not be taken away at the end')
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Does something while nobody else writes. */
  async #alone<R>(work: () => Promise<R>): Promise<R> {
    while (this.#held !== undefined) await this.#held
    const done = work()
    this.#held = done.then(
      () => undefined,
      () => undefined,
    )
    try {
      return await done
    } finally {
      this.#held = undefined
    }
  }

  /** @returns what was found before */
  async #repair(signal: AbortSignal): Promise<StateCheck> {
    const { records } = this.#options.backend
    await this.#settled()
    const check = await checkRecords(records, signal)
    if (check.faults.length === 0) return check
    const changes: Change[] = []
    let left = check
    // What was mended may show more, such as an entry whose index was damaged.
    for (let round = 0; round < REPAIR_ROUNDS && left.faults.some(isMendable); round++) {
      changes.push(...(await repairRecords(records, left.faults)))
      left = await checkRecords(records, signal)
    }
    const isLost = check.faults.some(({ record, kind }) => kind === 'damaged' && record.equals(HEAD_KEY))
    const head = isLost ? countHead(left) : decodeHead(await records.get(HEAD_KEY))
    const revision = Math.max(head.revision, left.greatestVersion, this.revision) + (changes.length > 0 ? 1 : 0)
    const { wallMs, run } = this.#time
    const { entries, bytes } = left
    await writeHead(records, { revision, entries, bytes, wallMs, run, epoch: records.epoch })
    this.#noted({ revision, changes })
    if (!left.faults.some(isMendable)) records.mended?.()
    return check
  }

  /** What changes from now on gets a greater revision than this. */
  async #goBeyond(revision: number): Promise<void> {
    if (this.revision >= revision) return
    await this.#change([HEAD_KEY], [], 0, (draft) => {
      if (draft.revision < revision) draft.putHead({ revision })
    })
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
    let outcome: { readonly tell: () => R; readonly changes: CommittedChanges } | undefined
    while (this.#held !== undefined) await this.#held
    this.#underWay++
    try {
      await backend.records.commit({
        keys,
        appends,
        bytes: bytes + OVERHEAD,
        decide: (view) => {
          const draft = new Draft(view, this.#time, maxBytes)
          const tell = decided(draft, decide)
          outcome = { tell, changes: { revision: draft.finish(), changes: draft.changes } }
        },
        committed: () => {
          this.#noted(outcome?.changes)
        },
      })
    } finally {
      this.#underWay--
    }
    if (outcome === undefined) throw new TypeError('a commit without a decision')
    return outcome.tell()
  }

  #noted(commit: CommittedChanges | undefined): void {
    if (commit === undefined || commit.changes.length === 0) return
    this.#counters.commits++
    for (const { isExpiry } of commit.changes) if (isExpiry) this.#counters.expired++
    this.#log.add(commit)
  }
}

/** What is known of the state as a whole; found out anew when that is damaged. */
async function readHead(records: RecordStore, logger: StateLogger): Promise<Head | undefined> {
  try {
    const found = await records.get(HEAD_KEY)
    return found === undefined ? undefined : decodeHead(found)
  } catch (error) {
    if (!(error instanceof StoreCorruptError)) throw error
    logger.warn({ event: 'state.head.damaged', err: error }, 'the state as a whole is counted anew')
    return countHead(await checkRecords(records, new AbortController().signal))
  }
}

/** The number of the run is not known for sure: as that of a lifetime it must not come again. */
function countHead({ entries, bytes, greatestVersion, greatestRun }: StateCheck): Head {
  return { ...FIRST_HEAD, entries, bytes, revision: greatestVersion + EPOCH_STEP, run: greatestRun + RUN_STEP }
}

function writeHead(records: RecordStore, head: Head): Promise<void> {
  return records.commit({
    keys: [],
    appends: [],
    bytes: OVERHEAD,
    decide: (view) => {
      view.put(HEAD_KEY, encodeHead(head))
    },
    committed: () => undefined,
  })
}

/** Writes down the time. */
function noteTime(records: RecordStore, draft: (view: StateView) => Draft): Promise<void> {
  return records.commit({
    keys: [HEAD_KEY],
    appends: [],
    bytes: OVERHEAD,
    decide: (view) => {
      draft(view).putHead({})
    },
    committed: () => undefined,
  })
}

/**
 * What a caller is told when the commit is done. Who learns that a grant has ended must not find it in place behind a
 * crash, so what such a decision has taken away is committed, and only then it is refused.
 */
function decided<R>(draft: Draft, decide: (draft: Draft) => R): () => R {
  try {
    const answer = decide(draft)
    return () => answer
  } catch (error) {
    if (!(error instanceof FencedError || error instanceof LockLostError)) throw error
    return () => {
      throw error
    }
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
