import type { AppId } from '../core/index.js'

/** `read` is shared with other readers, `write` with nobody. */
export type LockMode = 'read' | 'write'

/** Shortest lease, milliseconds: below it, delays of any machine would end leases of holders that work well. */
export const MIN_LEASE_MS = 100

/** Who wants which lock, and how. */
export interface LockRequest {
  readonly app: AppId
  /** With its namespace. */
  readonly name: string
  readonly ttlMs: number
  readonly mode: LockMode
  /** For people who look who has it. */
  readonly owner: string
  /** A second request with it takes the place of the first one, and the lock from it if it was granted already. */
  readonly requestId: string | undefined
}

/** A lock that somebody has. */
export interface LockGrant {
  readonly name: string
  /** Higher than that of every grant before. */
  readonly fence: number
  readonly mode: LockMode
  readonly owner: string
  /** About when it ends, milliseconds since 1970. */
  readonly expiresAt: number
}

/** The grant on which a write depends. */
export interface Fence {
  /** With its namespace. */
  readonly lock: string
  readonly fence: number
}

/** Somebody who waits for a lock. */
export interface LockWaiter {
  readonly owner: string
  readonly mode: LockMode
  readonly waitingMs: number
}

/** A lock, who has it, and who waits for them to let it go. */
export interface LockReport {
  readonly name: string
  readonly holders: readonly LockGrant[]
  /** In the order in which they get it. */
  readonly waiters: readonly LockWaiter[]
}
