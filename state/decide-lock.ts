import type { Draft } from './draft.js'
import { LockLostError } from './errors.js'
import { HEAD_KEY, lockKey, nameOfLock } from './record-keys.js'
import type { Fence, LockGrant, LockMode, LockRequest } from './lock-types.js'
import { decodeStored } from './records.js'
import type { Lifetime, StateTime } from './state-time.js'

/** A grant as it is stored. */
interface StoredGrant {
  readonly fence: number
  readonly mode: LockMode
  readonly owner: string
  readonly app: string
  readonly requestId?: string
  readonly lifetime: Lifetime
  /** Of the store, when it was granted: one of another epoch holds the lock, but nothing can be done with it. */
  readonly epoch: number
}

/** Somebody else has the lock. */
export interface LockBusy {
  /** When the first of the grants that stand against it ends, by the time of the run. */
  readonly untilMs: number
}

/** Readers that may have a lock at once: each change of it writes them all. */
const MAX_READERS = 1000

/** Keys of all records that deciding about a lock looks at. */
export function keysOfLock(name: string): readonly Buffer[] {
  return [HEAD_KEY, lockKey(name)]
}

/**
 * Grants a lock if nobody stands against it. A grant of the same request was never told to anybody, or its answer got lost, so
 * it ends by this one.
 *
 * @throws StateFullError
 */
export function decideAcquire(draft: Draft, request: LockRequest): LockGrant | LockBusy {
  const { app, name, ttlMs, mode, owner, requestId } = request
  const others = held(draft, name).filter(
    (grant) => requestId === undefined || grant.app !== app || grant.requestId !== requestId,
  )
  const isShared = mode === 'read' && others.length < MAX_READERS && others.every((grant) => grant.mode === 'read')
  if (others.length > 0 && !isShared) {
    return { untilMs: Math.min(...others.map(({ lifetime }) => draft.time.heldUntilMs(lifetime))) }
  }
  const grant: StoredGrant = {
    fence: draft.takeRevision(),
    mode,
    owner,
    app,
    ...(requestId === undefined ? {} : { requestId }),
    lifetime: draft.time.lifetime(ttlMs),
    epoch: draft.epoch,
  }
  store(draft, name, [...others, grant])
  return told(name, grant, draft.time)
}

/** Prolongs a grant from now on. @throws LockLostError when it has ended */
export function decideExtend(draft: Draft, { lock: name, fence }: Fence, ttlMs: number): LockGrant {
  const grants = held(draft, name)
  const grant = grants.find((each) => isUsable(draft, each, fence))
  if (grant === undefined) throw new LockLostError(name, fence)
  const extended = { ...grant, lifetime: draft.time.lifetime(ttlMs) }
  store(
    draft,
    name,
    grants.map((each) => (each === grant ? extended : each)),
  )
  return told(name, extended, draft.time)
}

/** Whether that grant was still there. */
export function decideRelease(draft: Draft, { lock: name, fence }: Fence): boolean {
  const grants = held(draft, name)
  const left = grants.filter((grant) => !isUsable(draft, grant, fence))
  if (left.length === grants.length) return false
  store(draft, name, left)
  return true
}

/** Whether that grant is there at this moment. */
export function isCurrent(draft: Draft, { lock, fence }: Fence): boolean {
  return held(draft, lock).some((grant) => isUsable(draft, grant, fence))
}

/** Who has a lock. Grants whose time is over leave nothing behind. */
export function decideHolders(draft: Draft, name: string): readonly LockGrant[] {
  return held(draft, name).map((grant) => told(name, grant, draft.time))
}

/** Gives a record its deadline anew, or takes it away when its time is over. */
export function endLock(draft: Draft, record: Buffer): void {
  store(draft, nameOfLock(record), held(draft, nameOfLock(record)))
}

/** Who has a lock, from its record; `undefined` when a grant has ended of which the record does not know. */
export function holdersIn(record: Buffer, content: Buffer, time: StateTime): readonly LockGrant[] | undefined {
  const grants = decodeGrants(content)
  const current = grants.filter((grant) => isHeld(grant, time))
  if (current.length < grants.length) return undefined
  return current.map((grant) => told(nameOfLock(record), grant, time))
}

/**
 * Grants that are there. Those that have ended go from the record in the same commit, before anybody is told: over a restart
 * a grant lasts its whole time once more, and must not be good again to whom it was called lost.
 */
function held(draft: Draft, name: string): readonly StoredGrant[] {
  const content = draft.view.get(lockKey(name))
  if (content === undefined) return []
  const grants = decodeGrants(content)
  const current = grants.filter((grant) => isHeld(grant, draft.time))
  if (current.length < grants.length) store(draft, name, current)
  return current
}

function decodeGrants(content: Buffer): readonly StoredGrant[] {
  return JSON.parse(decodeStored(content).text) as readonly StoredGrant[]
}

function isHeld({ lifetime }: StoredGrant, time: StateTime): boolean {
  return time.nowMs < time.heldUntilMs(lifetime)
}

function isUsable(draft: Draft, grant: StoredGrant, fence: number): boolean {
  return grant.fence === fence && grant.epoch === draft.epoch
}

/** A lock that nobody has needs no record: fences are revisions, which never come again. */
function store(draft: Draft, name: string, grants: readonly StoredGrant[]): void {
  const record = lockKey(name)
  const { time } = draft
  const lifetimes = grants.map(({ lifetime }) => lifetime)
  const first = lifetimes.reduce<Lifetime | undefined>(
    (soonest, each) => (soonest === undefined || time.heldUntilMs(each) < time.heldUntilMs(soonest) ? each : soonest),
    undefined,
  )
  if (first === undefined) {
    const content = draft.view.get(record)
    if (content !== undefined) draft.forget(record, decodeStored(content))
    return
  }
  // By this deadline the record is looked at again, which must be in this run.
  const lifetime = { ...first, runDeadlineMs: time.heldUntilMs(first), run: time.run }
  draft.keep(record, JSON.stringify(grants), lifetime)
}

function told(name: string, { fence, mode, owner, lifetime }: StoredGrant, time: StateTime): LockGrant {
  return { name, fence, mode, owner, expiresAt: Math.round(time.wallMs + time.heldUntilMs(lifetime) - time.nowMs) }
}
