import { AbortedError } from '../core/index.js'
import type { RecordRange, RecordStore } from './backend.js'
import {
  decideAcquire,
  decideExtend,
  decideHolders,
  decideRelease,
  holdersIn,
  keysOfLock,
  type LockBusy,
} from './decide-lock.js'
import type { Draft } from './draft.js'
import { LockQueueFullError, LockTimeoutError } from './errors.js'
import { LockQueue, type Settlement, type Ticket } from './lock-queue.js'
import type { Fence, LockGrant, LockReport, LockRequest } from './lock-types.js'
import { lockKey, locksBelow, nameOfLock } from './record-keys.js'
import type { StateLogger } from './state-logger.js'
import type { StateTime } from './state-time.js'

/** Who may wait at once, for all locks together. */
const MAX_WAITERS = 10_000

/** Longest time of a timer, milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1

export interface LocksOptions {
  readonly records: RecordStore
  readonly time: StateTime
  readonly logger: StateLogger
  /** Does something in a commit of its own. */
  readonly change: <R>(keys: readonly Buffer[], decide: (draft: Draft) => R) => Promise<R>
}

/** The queue of one lock, and what keeps it going. */
interface Line {
  readonly queue: LockQueue
  isMoving: boolean
  /** Something has happened since it was last looked whose turn it is. */
  isStirred: boolean
  timer: NodeJS.Timeout | undefined
}

/**
 * Locks with leases. Who has one is stored; who waits is known only here, as long as their connections last. Those who wait are
 * woken by what ends a grant, or by the time at which it ends.
 */
export class Locks {
  readonly #options: LocksOptions
  readonly #lines = new Map<string, Line>()
  /** Who waits under a request id. */
  readonly #byRequest = new Map<string, Ticket>()
  /** Called when a lock of that name is let go. */
  readonly #listeners = new Map<string, Set<() => void>>()
  #grants = 0
  #isClosed = false

  constructor(options: LocksOptions) {
    this.#options = options
  }

  get waiting(): number {
    let waiting = 0
    for (const { queue } of this.#lines.values()) waiting += queue.size
    return waiting
  }

  /** Grants since start. */
  get granted(): number {
    return this.#grants
  }

  /**
   * Waits for a lock so many milliseconds, 0 for not at all. When the signal comes there is nobody to have it: a grant that
   * was decided meanwhile is taken back.
   *
   * @throws LockTimeoutError, LockQueueFullError, AbortedError, StateFullError
   */
  async acquire(request: LockRequest, waitMs: number, signal: AbortSignal): Promise<LockGrant> {
    if (isGone(signal) || this.#isClosed) throw gone(signal.reason)
    if (waitMs > 0) return this.#wait(request, waitMs, signal)
    const outcome = await this.#decide(request, undefined)
    if (!('fence' in outcome)) throw new LockTimeoutError(request.name, 0)
    this.#grants++
    if (!isGone(signal)) return outcome
    await this.takeBack(outcome)
    throw gone(signal.reason)
  }

  /** Has a grant last so long from now on; also how a holder comes back after a restart. @throws LockLostError */
  extend(fence: Fence, ttlMs: number): Promise<LockGrant> {
    return this.#options.change(keysOfLock(fence.lock), (draft) => decideExtend(draft, fence, ttlMs))
  }

  /** Whether that grant was still there. */
  async release(fence: Fence): Promise<boolean> {
    const wasHeld = await this.#options.change(keysOfLock(fence.lock), (draft) => decideRelease(draft, fence))
    if (wasHeld) this.#letGo(fence.lock)
    return wasHeld
  }

  /** Releases a grant that nobody has; should that fail, its time ends it. */
  async takeBack({ name, fence }: LockGrant): Promise<void> {
    try {
      await this.release({ lock: name, fence })
    } catch (error) {
      if (!this.#isClosed) this.#options.logger.warn({ err: error, lock: name }, 'a lock could not be taken back')
    }
  }

  /** Resolves when the grant has ended, or the signal comes. */
  async whileHeld({ name, fence }: LockGrant, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // Listens before it looks, so that nothing comes between.
      const heard = this.#heard(name, signal)
      const grant = (await this.find(name))?.holders.find((holder) => holder.fence === fence)
      if (grant === undefined) {
        heard.stop()
        return
      }
      heard.until(grant.expiresAt - this.#options.time.wallMs)
      await heard.promise
    }
  }

  /** One lock; `undefined` when nobody has it and nobody waits. */
  async find(name: string): Promise<LockReport | undefined> {
    const content = await this.#options.records.get(lockKey(name))
    return this.#report(name, content)
  }

  /** Locks that somebody has, or waits for, in the order of their names. */
  async list(prefix: string, after: string | undefined, limit: number): Promise<readonly LockReport[]> {
    const behind = after === undefined ? undefined : lockKey(after)
    const found: (LockReport | undefined)[] = []
    const names = new Set<string>()
    for await (const page of this.#pages(locksBelow(prefix), behind, limit)) {
      for (const [key] of page) names.add(nameOfLock(key))
      found.push(...(await Promise.all(page.map(([key, content]) => this.#report(nameOfLock(key), content)))))
      if (found.filter((report) => report !== undefined).length >= limit) break
    }
    for (const name of this.#lines.keys()) {
      const isBehind = behind === undefined || Buffer.compare(lockKey(name), behind) > 0
      if (name.startsWith(prefix) && isBehind && !names.has(name)) found.push(await this.#report(name, undefined))
    }
    return found
      .filter((report) => report !== undefined)
      .sort((a, b) => Buffer.compare(lockKey(a.name), lockKey(b.name)))
      .slice(0, limit)
  }

  /** Nobody waits any more. Who has a lock keeps it. */
  close(): void {
    this.#isClosed = true
    const lines = [...this.#lines.values()]
    this.#lines.clear()
    for (const { queue, timer } of lines) {
      clearTimeout(timer)
      while (queue.size > 0) for (const ticket of queue.next()) this.#leave(ticket, queue, gone('the node is stopping'))
    }
    for (const listeners of this.#listeners.values()) for (const listener of [...listeners]) listener()
  }

  /** Records of locks. */
  async *#pages(
    { gte, lt }: { readonly gte: Buffer; readonly lt: Buffer },
    behind: Buffer | undefined,
    limit: number,
  ): AsyncGenerator<[Buffer, Buffer][]> {
    let start: RecordRange =
      behind === undefined || Buffer.compare(behind, gte) < 0 ? { gte, limit } : { gt: behind, limit }
    for (;;) {
      const page = await this.#options.records.page({ ...start, lt })
      const last = page.at(-1)
      if (last === undefined) return
      yield page
      if (page.length < limit) return
      start = { gt: last[0], limit }
    }
  }

  /** Before a grant is called ended, its record is gone. */
  #holders(name: string, content: Buffer): Promise<readonly LockGrant[]> {
    const holders = holdersIn(lockKey(name), content, this.#options.time)
    if (holders !== undefined) return Promise.resolve(holders)
    return this.#options.change(keysOfLock(name), (draft) => decideHolders(draft, name))
  }

  async #report(name: string, content: Buffer | undefined): Promise<LockReport | undefined> {
    const { time } = this.#options
    const holders = content === undefined ? [] : await this.#holders(name, content)
    const waiters = this.#lines.get(name)?.queue.report(time.nowMs) ?? []
    return holders.length === 0 && waiters.length === 0 ? undefined : { name, holders, waiters }
  }

  #wait(request: LockRequest, waitMs: number, signal: AbortSignal): Promise<LockGrant> {
    const waiting = this.waiting
    if (waiting >= MAX_WAITERS) return Promise.reject(new LockQueueFullError(waiting))
    return new Promise((resolve, reject) => {
      const line = this.#lineOf(request.name)
      const settle = (outcome: Settlement): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', leave)
        ticket.isGone = true
        this.#forget(ticket)
        if (outcome.kind === 'granted') resolve(outcome.grant)
        else reject(outcome.error)
      }
      const ticket: Ticket = { request, sinceMs: this.#options.time.nowMs, waitMs, ...NEW_TICKET, settle }
      const leave = (): void => {
        this.#leave(ticket, line.queue, gone(signal.reason))
      }
      const end = (): void => {
        ticket.isLate = true
        // A grant that is being decided is not thrown away for a moment.
        if (!ticket.isBeingDecided) this.#leave(ticket, line.queue, new LockTimeoutError(request.name, waitMs))
      }
      const timer = setTimeout(end, Math.min(waitMs, MAX_TIMER_MS))
      signal.addEventListener('abort', leave, { once: true })
      this.#enter(ticket, line.queue)
      this.#stir(request.name)
    })
  }

  /** A second request of somebody who waits already takes the place of the first one. */
  #enter(ticket: Ticket, queue: LockQueue): void {
    const id = requestOf(ticket)
    const former = id === undefined ? undefined : this.#byRequest.get(id)
    if (former === undefined || !queue.replace(former, ticket)) queue.add(ticket)
    if (id !== undefined) this.#byRequest.set(id, ticket)
    former?.settle({ kind: 'failed', error: new AbortedError('the same request was made again') })
  }

  #forget(ticket: Ticket): void {
    const id = requestOf(ticket)
    if (id !== undefined && this.#byRequest.get(id) === ticket) this.#byRequest.delete(id)
  }

  #leave(ticket: Ticket, queue: LockQueue, error: Error): void {
    if (ticket.isGone) return
    queue.remove(ticket)
    ticket.settle({ kind: 'failed', error })
    // It may have stood before others.
    this.#stir(ticket.request.name)
  }

  #lineOf(name: string): Line {
    const known = this.#lines.get(name)
    if (known !== undefined) return known
    const line: Line = { queue: new LockQueue(), isMoving: false, isStirred: false, timer: undefined }
    this.#lines.set(name, line)
    return line
  }

  #letGo(name: string): void {
    this.#stir(name)
    for (const listener of [...(this.#listeners.get(name) ?? [])]) listener()
  }

  /** Looks whose turn it is. */
  #stir(name: string): void {
    const line = this.#lines.get(name)
    if (line === undefined) return
    line.isStirred = true
    if (!line.isMoving) void this.#move(name, line)
  }

  async #move(name: string, line: Line): Promise<void> {
    line.isMoving = true
    clearTimeout(line.timer)
    let untilMs = Infinity
    while (line.isStirred && line.queue.size > 0) {
      line.isStirred = false
      const ends = await Promise.all(line.queue.next().map((ticket) => this.#serve(ticket, line)))
      untilMs = Math.min(...ends)
    }
    line.isMoving = false
    if (line.queue.size === 0) {
      if (this.#lines.get(name) === line) this.#lines.delete(name)
    } else if (untilMs < Infinity) {
      const ms = Math.min(Math.max(1, untilMs - this.#options.time.nowMs), MAX_TIMER_MS)
      line.timer = setTimeout(() => {
        this.#stir(name)
      }, ms).unref()
    }
  }

  /** Returns when it is worth another try, by the time of the run. */
  async #serve(ticket: Ticket, line: Line): Promise<number> {
    const { queue } = line
    ticket.isBeingDecided = true
    try {
      const outcome = await this.#decide(ticket.request, ticket)
      ticket.isBeingDecided = false
      if (!('fence' in outcome)) {
        if (ticket.isLate) this.#leave(ticket, queue, new LockTimeoutError(ticket.request.name, ticket.waitMs))
        return outcome.untilMs
      }
      this.#grants++
      queue.remove(ticket)
      line.isStirred = true
      if (ticket.isGone) await this.takeBack(outcome)
      else ticket.settle({ kind: 'granted', grant: outcome })
    } catch (error) {
      queue.remove(ticket)
      line.isStirred = true
      if (!ticket.isGone) ticket.settle({ kind: 'failed', error: asError(error) })
    }
    return Infinity
  }

  /** Those who came before have it before, also when the lock is free for a moment. */
  #decide(request: LockRequest, ticket: Ticket | undefined): Promise<LockGrant | LockBusy> {
    const { name, mode } = request
    return this.#options.change(keysOfLock(name), (draft) => {
      const isBefore = this.#lines.get(name)?.queue.isBefore(mode, ticket) === true
      return isBefore || ticket?.isGone === true ? NOT_YET : decideAcquire(draft, request)
    })
  }

  /** A promise for the lock to be let go, for the signal, or for a time. */
  #heard(name: string, signal: AbortSignal) {
    const listeners = this.#listeners.get(name) ?? new Set<() => void>()
    this.#listeners.set(name, listeners)
    let timer: NodeJS.Timeout | undefined
    let stop = (): void => undefined
    const promise = new Promise<void>((resolve) => {
      stop = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', stop)
        listeners.delete(stop)
        if (listeners.size === 0 && this.#listeners.get(name) === listeners) this.#listeners.delete(name)
        resolve()
      }
    })
    listeners.add(stop)
    signal.addEventListener('abort', stop, { once: true })
    const until = (ms: number): void => {
      if (listeners.has(stop)) timer = setTimeout(stop, Math.min(Math.max(1, ms), MAX_TIMER_MS)).unref()
    }
    return { promise, stop, until }
  }
}

const NEW_TICKET = { isBeingDecided: false, isGone: false, isLate: false }

const NOT_YET: LockBusy = { untilMs: Infinity }

function requestOf({ request: { app, name, requestId } }: Ticket): string | undefined {
  return requestId === undefined ? undefined : `${app}\0${name}\0${requestId}`
}

/** Asked anew behind each wait. */
function isGone(signal: AbortSignal): boolean {
  return signal.aborted
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

function gone(cause: unknown): AbortedError {
  return new AbortedError('nobody waits for the lock any more', { cause })
}
