import type { RecordStore } from './backend.js'
import { endLock } from './decide-lock.js'
import type { Draft } from './draft.js'
import { REMEMBERED_REQUESTS } from './limits.js'
import {
  appOfRequestCount,
  deadlinesUntil,
  HEAD_KEY,
  nameOfEntry,
  parseRequestOrder,
  RECORD,
  recordOfDeadline,
  recordsOf,
  requestCountKey,
  requestKey,
  requestsOf,
} from './record-keys.js'
import { decodeStored } from './records.js'
import { countOf, forgetAnswer } from './request-memory.js'
import type { StateLogger } from './state-logger.js'
import type { StateTime } from './state-time.js'

/** Records that are taken away in one commit. */
const PAGE = 256

export interface SweeperOptions {
  readonly records: RecordStore
  readonly time: StateTime
  readonly logger: StateLogger
  /** Milliseconds between two looks. */
  readonly everyMs: number
  /** Does something in a commit of its own. */
  readonly change: <R>(keys: readonly Buffer[], decide: (draft: Draft) => R) => Promise<R>
}

/** Gives back the room of what is expired. To everybody else that is gone already. */
export class Sweeper {
  readonly #options: SweeperOptions
  #timer: NodeJS.Timeout | undefined
  #sweeping: Promise<void> = Promise.resolve()
  #isBusy = false

  constructor(options: SweeperOptions) {
    this.#options = options
  }

  start(): void {
    this.#timer = setInterval(() => {
      void this.#sweepOnTime()
    }, this.#options.everyMs)
    this.#timer.unref()
  }

  /** Leaves nothing behind that is expired. @throws errors of the store */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.sweep()
  }

  /** Calls that overlap are done one after the other. */
  sweep(): Promise<void> {
    const swept = this.#sweeping.then(() => this.#sweep())
    this.#sweeping = swept.catch(() => undefined)
    return swept
  }

  async #sweepOnTime(): Promise<void> {
    if (this.#isBusy) return
    this.#isBusy = true
    try {
      await this.sweep()
    } catch (error) {
      // It is tried again; what keeps the store from being written is reported by the store.
      this.#options.logger.warn({ err: error }, 'expired state could not be taken away')
    } finally {
      this.#isBusy = false
    }
  }

  async #sweep(): Promise<void> {
    while (await this.#sweepDeadlines()) continue
    const counts = await this.#options.records.page({ ...recordsOf(RECORD.requestCount), limit: PAGE })
    for (const [key] of counts) {
      while (await this.#sweepRequests(appOfRequestCount(key))) continue
    }
  }

  /** Returns whether there may be more. */
  async #sweepDeadlines(): Promise<boolean> {
    const { records, time, change } = this.#options
    const found = await records.page({ ...deadlinesUntil(time.nowMs), limit: PAGE })
    if (found.length === 0) return false
    const deadlines = found.map(([key]) => key)
    await change([HEAD_KEY, ...deadlines.map(recordOfDeadline)], (draft) => {
      for (const deadline of deadlines) endRecord(draft, deadline)
    })
    return found.length === PAGE
  }

  async #sweepRequests(app: string): Promise<boolean> {
    const { records, change } = this.#options
    const found = await records.page({ ...requestsOf(app), limit: PAGE })
    const answers = found.map(([key]) => parseRequestOrder(key, app))
    const [oldest] = answers
    if (oldest === undefined) return false
    const count = requestCountKey(app)
    if (!(await this.#isWorthALook(app, oldest))) return false
    return change([HEAD_KEY, count, ...answers.map(({ id }) => requestKey(app, id))], (draft) => {
      const isTooMany = (): boolean => countOf(draft.view.get(count)) > REMEMBERED_REQUESTS
      return answers.every((answer) => forgetAnswer(draft, app, answer, isTooMany())) && answers.length === PAGE
    })
  }

  /** Without a commit: mostly there is nothing to do. */
  async #isWorthALook(app: string, oldest: { readonly id: string; readonly deadlineMs: number }): Promise<boolean> {
    const { records, time } = this.#options
    if (oldest.deadlineMs <= time.nowMs) return true
    return countOf(await records.get(requestCountKey(app))) > REMEMBERED_REQUESTS
  }
}

/** A deadline may be outdated, or of a run whose clock went otherwise. */
function endRecord(draft: Draft, deadline: Buffer): void {
  const record = recordOfDeadline(deadline)
  const content = draft.view.get(record)
  const stored = content === undefined ? undefined : decodeStored(content)
  draft.view.delete(deadline)
  if (stored?.lifetime === undefined) return
  if (record[0] === RECORD.lock) {
    endLock(draft, record)
    return
  }
  if (!draft.time.hasEnded(stored.lifetime)) draft.adopt(record, stored)
  else if (record[0] === RECORD.entry) draft.delete(nameOfEntry(record))
  else draft.forget(record, stored)
}
