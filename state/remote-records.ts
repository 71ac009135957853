import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { StateDecision } from '../storage/index.js'
import type { RecordRange, RecordStore } from './backend.js'
import { clearIntents, keepIntent, readIntents } from './intents.js'
import { RemoteBatch } from './remote-batch.js'
import type { RecordTable, TableCommit } from './record-table.js'
import { StateBusyError, StateOutcomeError, StateTakenOverError, StateUnreachableError } from './remote-errors.js'

/** Decisions that wait at most, and how many of them are done in one commit. */
const MAX_WAITING = 10_000
const MAX_BATCH = 512

/** Bytes that the decisions of a commit announce at most, unless a single one announces more. */
const MAX_BATCH_BYTES = 4 * 1024 * 1024

/** Milliseconds between two attempts: the first, and the longest. */
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 1000

export interface RemoteOptions {
  readonly table: RecordTable
  /** The records beside the node's events. */
  readonly local: RecordStore
  /** Milliseconds for one attempt, and for all of them until a caller is told. */
  readonly attemptMs: number
  readonly patienceMs: number
  /** Another number than at any opening before. */
  readonly epoch: number
}

/** Decisions that are done by one commit. */
interface Unresolved {
  readonly commit: TableCommit
  readonly decisions: readonly StateDecision[]
}

interface Job {
  readonly decision: StateDecision
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * Records in a table elsewhere. One process writes it; its decisions are made here, one after the other, and what comes of
 * several goes there as one commit. A commit without an answer is sent again, unchanged, before anything else is read or
 * done, so it is done once.
 *
 * Events cannot be in that commit. They are stored first, in one commit of the node's store with a copy of what is to be
 * written to the table; after a crash that copy is sent again at the next start.
 */
export class RemoteRecords implements RecordStore {
  readonly epoch: number
  readonly #options: RemoteOptions
  readonly #closing = new AbortController()
  readonly #waiting: Job[] = []
  #mark: string
  #running: Promise<void> | undefined
  #unresolved: Unresolved | undefined
  #resolving: Promise<void> | undefined
  /** Whether its callers were told that nobody knows. */
  #isOverdue = false
  #isLost = false

  private constructor(options: RemoteOptions, mark: string) {
    this.#options = options
    this.#mark = mark
    this.epoch = options.epoch
  }

  /** Finishes what the process before has left, and takes the table over from it. @throws StateUnreachableError */
  static async open(options: RemoteOptions): Promise<RemoteRecords> {
    const { table, local } = options
    try {
      const found = await table.mark()
      const intent = await readIntents(local, found)
      if (intent !== undefined && !(await table.commit(intent))) throw new StateTakenOverError(table.name)
      const after = intent?.mark ?? found
      const mark = randomUUID()
      if (!(await table.commit({ after, mark, writes: [] }))) throw new StateTakenOverError(table.name)
      await clearIntents(local)
      return new RemoteRecords(options, mark)
    } catch (error) {
      throw error instanceof StateTakenOverError ? error : new StateUnreachableError(table.name, error)
    }
  }

  async get(key: Buffer): Promise<Buffer | undefined> {
    const [content] = await this.#ask((table) => table.read([key]))
    return content
  }

  page(range: RecordRange): Promise<[Buffer, Buffer][]> {
    return this.#ask((table) => table.page(range))
  }

  async commit(decision: StateDecision): Promise<void> {
    const { table } = this.#options
    if (this.#closing.signal.aborted) throw new StateUnreachableError(table.name, 'the node is shutting down')
    if (this.#waiting.length >= MAX_WAITING) throw new StateBusyError(table.name)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ decision, resolve, reject })
      this.#running ??= this.#run()
    })
  }

  /** Waits for the commit under way, refuses those that wait, and gives the table back. Idempotent. */
  async close(): Promise<void> {
    const { table } = this.#options
    this.#closing.abort()
    for (const { reject } of this.#waiting.splice(0)) {
      reject(new StateUnreachableError(table.name, 'the node is shutting down'))
    }
    await this.#running
    await table.close()
  }

  async #run(): Promise<void> {
    // Those that ask in the same turn go together.
    await Promise.resolve()
    for (let jobs = this.#take(); jobs.length > 0; jobs = this.#take()) {
      try {
        await this.#commitTogether(jobs)
      } catch (error) {
        for (const { reject } of jobs) reject(error)
      }
    }
    this.#running = undefined
  }

  #take(): Job[] {
    let bytes = 0
    let count = 0
    for (const { decision } of this.#waiting) {
      bytes += decision.bytes
      if (count === MAX_BATCH || (count > 0 && bytes > MAX_BATCH_BYTES)) break
      count++
    }
    return this.#waiting.splice(0, count)
  }

  async #commitTogether(jobs: readonly Job[]): Promise<void> {
    const { local } = this.#options
    const keys = jobs.flatMap(({ decision }) => decision.keys)
    const found = await this.#ask(async (table) => (keys.length === 0 ? [] : table.read(keys)))
    const batch = new RemoteBatch(keys, found, { after: this.#mark, mark: randomUUID() }, keepIntent)
    const outcomes = await Promise.allSettled(jobs.map(({ decision }) => local.commit(batch.join(decision))))
    // Those for which the node's store has begun another group have not been looked at.
    this.#waiting.unshift(...jobs.filter(({ decision }) => batch.isLeftOut(decision)))
    const done: Job[] = []
    outcomes.forEach((outcome, at) => {
      const job = jobs[at]
      if (job === undefined || batch.isLeftOut(job.decision)) return
      if (outcome.status === 'fulfilled') done.push(job)
      else job.reject(outcome.reason)
    })
    if (done.length === 0) return
    try {
      await this.#send({ commit: batch.commit(), decisions: done.map(({ decision }) => decision) })
      for (const { resolve } of done) resolve()
    } catch (error) {
      for (const { reject } of done) reject(error)
    }
  }

  /** @throws StateOutcomeError, StateTakenOverError */
  async #send(unresolved: Unresolved): Promise<void> {
    if (unresolved.commit.writes.length === 0) {
      for (const decision of unresolved.decisions) decision.committed()
      return
    }
    this.#unresolved = unresolved
    try {
      await this.#resolve()
    } catch (error) {
      if (!(error instanceof StateUnreachableError)) throw error
      this.#isOverdue = true
      throw new StateOutcomeError(this.#options.table.name, error.cause)
    }
  }

  /** Reads when nothing is open. @throws StateUnreachableError, StateTakenOverError */
  async #ask<R>(question: (table: RecordTable) => Promise<R>): Promise<R> {
    if (this.#isOverdue) await this.#resolve()
    if (this.#isLost) throw new StateTakenOverError(this.#options.table.name)
    return this.#insist(() => question(this.#options.table))
  }

  /** Has the commit without an answer done. Callers share the attempts. */
  #resolve(): Promise<void> {
    return (this.#resolving ??= this.#resolveNow().finally(() => {
      this.#resolving = undefined
    }))
  }

  async #resolveNow(): Promise<void> {
    const unresolved = this.#unresolved
    const { table } = this.#options
    if (this.#isLost) throw new StateTakenOverError(table.name)
    if (unresolved === undefined) return
    const { commit, decisions } = unresolved
    const isDone = await this.#insist(() => table.commit(commit))
    this.#unresolved = undefined
    this.#isOverdue = false
    if (!isDone) {
      this.#isLost = true
      throw new StateTakenOverError(table.name)
    }
    this.#mark = commit.mark
    for (const decision of decisions) decision.committed()
  }

  /** Tries again until it works or patience ends. @throws StateUnreachableError */
  async #insist<R>(attempt: () => Promise<R>): Promise<R> {
    const { attemptMs, patienceMs, table } = this.#options
    const { signal } = this.#closing
    const endMs = performance.now() + patienceMs
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      try {
        return await within(attempt(), attemptMs)
      } catch (error) {
        if (signal.aborted || performance.now() + pauseMs > endMs) throw new StateUnreachableError(table.name, error)
        await sleep(pauseMs, undefined, { signal }).catch(() => undefined)
      }
    }
  }
}

/** What comes later than that is not listened to any more. */
async function within<R>(answer: Promise<R>, ms: number): Promise<R> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no answer within ${String(ms)} ms`))
    }, ms)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}
