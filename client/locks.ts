import { newRequestId } from './ask-again.js'
import { LockLostError, NodeUnreachableError, RequestRefusedError } from './errors.js'
import { followOverHttp } from './http-answer.js'
import type { Requests } from './requests.js'
import { DEFAULT_PAUSES, retryPauseMs } from './retry.js'
import type { FencedBy } from './state-types.js'
import { abortedError, pause } from './unless-aborted.js'
import { mayPass } from './wire-errors.js'

const BASE = '/api/millrace/v1/state/locks'

/** Longest wait of one request, milliseconds; behind it the wait goes on with another one. */
const MOST_WAIT_MS = 120_000

/** Part of a lease after which it is prolonged. */
const EXTEND_AFTER = 1 / 3

/** How a lock is wanted. */
export interface LockOptions {
  /** Milliseconds of the lease, from 100 on; {@link Guard.run} prolongs it. */
  readonly ttlMs: number
  /** For people who look who has it; by default the app. */
  readonly owner?: string
  /** `read` is shared with other readers; by default `write`. */
  readonly mode?: 'read' | 'write'
  /** With `connection` the lock is let go when the connection breaks off, too; by default only when the lease is over. */
  readonly bound?: 'lease' | 'connection'
  readonly signal?: AbortSignal
}

/** Somebody who has a lock. */
export interface LockHolder {
  readonly fence: bigint
  readonly mode: 'read' | 'write'
  readonly owner: string
  /** About when it ends, milliseconds since 1970. */
  readonly expiresAt: number
}

/** A lock, who has it, and who waits for them. */
export interface LockInfo {
  readonly name: string
  readonly holders: readonly LockHolder[]
  readonly waiters: readonly { readonly owner: string; readonly mode: 'read' | 'write'; readonly waitingMs: number }[]
}

interface GrantReply {
  readonly name: string
  readonly fence: string
  readonly expiresAt: number
}

/** Locks of the node: leases with fences. */
export class LocksClient {
  readonly #requests: Requests

  constructor(requests: Requests) {
    this.#requests = requests
  }

  /**
   * Waits for a lock; without `waitMs` for as long as it takes.
   *
   * @throws RequestRefusedError `ERR_LOCK_TIMEOUT`
   */
  async acquire(name: string, options: LockOptions & { readonly waitMs?: number }): Promise<Guard> {
    const { waitMs = Infinity, signal = new AbortController().signal } = options
    const deadline = performance.now() + waitMs
    // The same for all requests of this wait, so that one whose answer got lost does not stand in its own way.
    const requestId = newRequestId()
    for (let failures = 1; ; failures++) {
      const left = deadline - performance.now()
      try {
        return await this.#ask(name, options, requestId, Math.max(0, Math.min(left, MOST_WAIT_MS)))
      } catch (error) {
        if (signal.aborted || !isWorthAnother(error, left > MOST_WAIT_MS)) throw error
        if (!mayPass(error)) {
          failures = 0
          continue
        }
        if (performance.now() > deadline) throw error
        await pause(retryPauseMs(failures, DEFAULT_PAUSES, Math.random()), signal)
      }
    }
  }

  /** `undefined` when somebody else has the lock. */
  async tryAcquire(name: string, options: LockOptions): Promise<Guard | undefined> {
    try {
      return await this.acquire(name, { ...options, waitMs: 0 })
    } catch (error) {
      if (error instanceof RequestRefusedError && error.wireCode === 'ERR_LOCK_TIMEOUT') return undefined
      throw error
    }
  }

  /** Locks that somebody has or waits for. */
  async *list(prefix = '', signal?: AbortSignal): AsyncGenerator<LockInfo, void, undefined> {
    const limit = 1000
    let after: string | undefined
    for (;;) {
      const parameters = new URLSearchParams({ prefix, limit: String(limit) })
      if (after !== undefined) parameters.set('after', after)
      const reply = await this.#requests.askJson('GET', `${BASE}?${parameters.toString()}`, undefined, signal)
      const { locks } = reply as { locks: unknown[] }
      yield* locks.map(toInfo)
      if (locks.length < limit) return
      after = toInfo(locks.at(-1)).name
    }
  }

  async #ask(name: string, options: LockOptions, requestId: string, waitMs: number): Promise<Guard> {
    const { ttlMs, owner, mode, bound, signal } = options
    const sentMs = performance.now()
    const path = `${BASE}/${encodeURIComponent(name)}/acquire`
    const body = JSON.stringify({ ttlMs, waitMs, owner, mode, bound, requestId })
    if (bound !== 'connection') {
      const reply = (await this.#requests.askJson('POST', path, body, signal)) as GrantReply
      return settled(new Guard(this.#requests, reply, { ttlMs, sentMs }), { ttlMs, sentMs }, signal)
    }
    const connection = new AbortController()
    const leave = (): void => {
      connection.abort()
    }
    if (signal?.aborted) throw abortedError(signal.reason)
    signal?.addEventListener('abort', leave, { once: true })
    try {
      // A wait is as silent as it is long.
      const lines = followOverHttp(this.#requests, path, body, connection.signal, waitMs + MOST_SILENT_MS)
      const first = await lines.next()
      if (first.done === true) {
        throw new NodeUnreachableError('the answer ended before the lock was granted', { neverSent: false })
      }
      const guard = new Guard(this.#requests, JSON.parse(first.value) as GrantReply, { ttlMs, sentMs }, lines, leave)
      return await settled(guard, { ttlMs, sentMs }, signal)
    } finally {
      signal?.removeEventListener('abort', leave)
    }
  }
}

/** Milliseconds without a byte after which an open answer counts as broken off. */
const MOST_SILENT_MS = 45_000

/** A lease, and when it was asked for: it cannot have begun before. */
interface Lease {
  readonly ttlMs: number
  readonly sentMs: number
}

/** Share of a lease that asking for it may have taken, so that the whole is still counted from then. */
const SHORT = 1 / 10

/** Behind a wait nobody knows here when the lease began, so it is begun anew. */
async function settled(guard: Guard, { ttlMs, sentMs }: Lease, signal: AbortSignal | undefined): Promise<Guard> {
  if (performance.now() - sentMs > ttlMs * SHORT) await guard.extend(ttlMs, signal)
  return guard
}

function isWorthAnother(error: unknown, isTimeLeft: boolean): boolean {
  if (error instanceof NodeUnreachableError) return !error.neverSent
  if (error instanceof RequestRefusedError && error.wireCode === 'ERR_LOCK_TIMEOUT') return isTimeLeft
  return mayPass(error)
}

type HolderReply = Omit<LockHolder, 'fence'> & { readonly fence: string }

function toInfo(reply: unknown): LockInfo {
  const { holders, ...lock } = reply as Omit<LockInfo, 'holders'> & { readonly holders: readonly HolderReply[] }
  return { ...lock, holders: holders.map((holder) => ({ ...holder, fence: BigInt(holder.fence) })) }
}

/**
 * A lock that was granted. It is held until it is released or its lease is over; {@link lost} tells when it ends otherwise.
 * A lease alone is not safe, since whoever holds it can be paused beyond it: give the fence to what is protected,
 * which is {@link fencedBy} for writes to the state.
 */
export class Guard implements AsyncDisposable {
  /** With its namespace. */
  readonly name: string
  /** Higher than that of every grant before. */
  readonly fence: bigint
  readonly #requests: Requests
  readonly #lost = new AbortController()
  readonly #disconnect: (() => void) | undefined
  readonly #ttlMs: number
  #expiresAt: number
  #timer: ReturnType<typeof setTimeout> | undefined
  #isReleased = false

  constructor(
    requests: Requests,
    { name, fence, expiresAt }: GrantReply,
    { ttlMs, sentMs }: Lease,
    lines?: AsyncGenerator<string>,
    disconnect?: () => void,
  ) {
    this.#requests = requests
    this.name = name
    this.fence = BigInt(fence)
    this.#expiresAt = expiresAt
    this.#disconnect = disconnect
    this.#ttlMs = ttlMs
    const nowMs = performance.now()
    this.#endAt((nowMs - sentMs > ttlMs * SHORT ? nowMs : sentMs) + ttlMs)
    if (lines !== undefined) void this.#follow(lines)
  }

  /** About when it ends by the clock of the node, milliseconds since 1970. */
  get expiresAt(): number {
    return this.#expiresAt
  }

  /** Comes when the lock is not held any more though it was not released: stop what needs it. */
  get lost(): AbortSignal {
    return this.#lost.signal
  }

  /** For writes that are to be refused when the lock is not held any more. */
  get fencedBy(): FencedBy {
    return { lock: this.name, fence: this.fence }
  }

  /** Has the lease end so long from now. @throws LockLostError here, or RequestRefusedError `ERR_LOCK_LOST` by the node */
  async extend(ttlMs: number, signal?: AbortSignal): Promise<void> {
    // Whoever was told that it is lost may have stopped halfway.
    this.lost.throwIfAborted()
    const sentMs = performance.now()
    try {
      const reply = (await this.#act('extend', { ttlMs }, signal)) as GrantReply
      this.#expiresAt = reply.expiresAt
      if (!this.#isReleased && !this.lost.aborted) this.#endAt(sentMs + ttlMs)
    } catch (error) {
      if (error instanceof RequestRefusedError && error.wireCode === 'ERR_LOCK_LOST') this.#lose('the grant has ended')
      throw error
    }
  }

  /** Whether it was still held. Idempotent: later calls say that it was not. */
  async release(signal?: AbortSignal): Promise<boolean> {
    this.#isReleased = true
    clearTimeout(this.#timer)
    try {
      const { released } = (await this.#act('release', {}, signal)) as { released: boolean }
      return released
    } finally {
      this.#disconnect?.()
    }
  }

  /** Whether the node says that it is held. */
  async isHeld(signal?: AbortSignal): Promise<boolean> {
    const path = `${BASE}/${encodeURIComponent(this.name)}`
    const { locks } = (await this.#requests.askJson('GET', path, undefined, signal)) as { locks: unknown[] }
    return locks.map(toInfo).some(({ holders }) => holders.some(({ fence }) => fence === this.fence))
  }

  /**
   * Does something under the lock, prolongs the lease meanwhile, and releases the lock. The signal comes when the lock is lost.
   */
  async run<T>(work: (signal: AbortSignal) => Promise<T>, ttlMs?: number): Promise<T> {
    const done = new AbortController()
    const prolonging = this.#prolong(ttlMs ?? this.#ttlMs, done.signal)
    try {
      return await work(this.lost)
    } finally {
      done.abort()
      await prolonging
      // Should this fail, the lease ends it.
      await this.release().catch(() => false)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isReleased) await this.release().catch(() => false)
  }

  /** Until the work is done or the lock is lost; a node that does not answer is asked again while the lease lasts. */
  async #prolong(ttlMs: number, done: AbortSignal): Promise<void> {
    const ended = AbortSignal.any([done, this.lost])
    let wait = ttlMs * EXTEND_AFTER
    for (;;) {
      await pause(wait, ended)
      if (ended.aborted) return
      try {
        await this.extend(ttlMs, ended)
        wait = ttlMs * EXTEND_AFTER
      } catch {
        wait = Math.min(wait, ttlMs / 10)
      }
    }
  }

  async #follow(lines: AsyncGenerator<string>): Promise<void> {
    try {
      for await (const line of lines) {
        if ((JSON.parse(line) as { type: string }).type === 'ended') this.#lose('the grant has ended')
      }
    } catch {
      // Whether it has ended too is found out by the next extension, at the latest by its time.
    }
  }

  async #act(action: 'extend' | 'release', wish: object, signal: AbortSignal | undefined): Promise<unknown> {
    const path = `${BASE}/${encodeURIComponent(this.name)}/${action}`
    const body = JSON.stringify({ ...wish, fence: String(this.fence) })
    return this.#requests.askJson('POST', path, body, signal)
  }

  #endAt(deadlineMs: number): void {
    clearTimeout(this.#timer)
    const ms = deadlineMs - performance.now()
    this.#timer = setTimeout(
      () => {
        // Timers may come late, and never end longer than this.
        if (performance.now() >= deadlineMs) this.#lose('its time is over')
        else this.#endAt(deadlineMs)
      },
      Math.min(Math.max(0, ms), 2 ** 31 - 1),
    )
  }

  #lose(reason: string): void {
    if (this.#isReleased) return
    clearTimeout(this.#timer)
    this.#lost.abort(new LockLostError(this.name, reason))
    this.#disconnect?.()
  }
}
