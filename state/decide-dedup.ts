import type { ClaimAnswer, ClaimRequest, ClaimToken } from './dedup-types.js'
import type { Draft } from './draft.js'
import { FencedError } from './errors.js'
import { dedupKey, HEAD_KEY } from './record-keys.js'
import type { Lifetime } from './state-time.js'

/** Somebody is at it, or was. The record outlives the claim, for the number of the next attempt. */
interface Claimed {
  readonly phase: 'claimed'
  readonly claim: number
  readonly attempt: number
  readonly app: string
  readonly requestId?: string
  readonly sinceMs: number
  readonly windowMs: number
  /** `null` when somebody was told that it is over. */
  readonly lifetime: Lifetime | null
  /** Of the store, when it was claimed: nothing can be done with a claim of another epoch. */
  readonly epoch: number
}

interface Done {
  readonly phase: 'done'
  readonly claim: number
  /** JSON text. */
  readonly result: string
  readonly atMs: number
}

/** Keys of all records that deciding about a claim looks at. */
export function keysOfDedup(key: string): readonly Buffer[] {
  return [HEAD_KEY, dedupKey(key)]
}

/** Claims what nobody has done in the window and nobody is at. @throws StateFullError */
export function decideClaim(draft: Draft, request: ClaimRequest): ClaimAnswer {
  const { app, key, windowMs, staleMs, requestId } = request
  const { time } = draft
  const known = read(draft, key)
  if (known?.phase === 'done') return { kind: 'done', result: known.result, atMs: known.atMs }
  if (known !== undefined && isOpen(draft, known)) {
    const { attempt, claim, sinceMs } = known
    const isAgain = requestId !== undefined && known.requestId === requestId && known.app === app
    if (isAgain && known.epoch === draft.epoch) return { kind: 'new', token: { key, claim }, attempt }
    return { kind: 'inProgress', sinceMs, attempt }
  }
  const claim = draft.takeRevision()
  const attempt = (known?.attempt ?? 0) + 1
  const claimed: Claimed = {
    phase: 'claimed',
    claim,
    attempt,
    app,
    ...(requestId === undefined ? {} : { requestId }),
    sinceMs: Math.round(time.wallMs),
    windowMs,
    lifetime: time.lifetime(staleMs),
    epoch: draft.epoch,
  }
  draft.remember(dedupKey(key), JSON.stringify(claimed), staleMs + windowMs)
  return { kind: 'new', token: { key, claim }, attempt }
}

/**
 * Remembers the result of a claim for its window. Asked once more for the same claim, the first result stays. Returns
 * when it was there, milliseconds since 1970.
 *
 * @throws FencedError when the claim is over; StateFullError
 */
export function decideDone(draft: Draft, token: ClaimToken, result: string): number {
  const { key, claim } = token
  const known = read(draft, key)
  if (known?.phase === 'done' && known.claim === claim) return known.atMs
  if (!isCurrent(draft, known, claim)) throw tooLate(draft, token, known)
  const atMs = Math.round(draft.time.wallMs)
  const done: Done = { phase: 'done', claim, result, atMs }
  draft.remember(dedupKey(key), JSON.stringify(done), known.windowMs)
  return atMs
}

/** Lets somebody else try. Whether the claim was still there. */
export function decideAbandon(draft: Draft, { key, claim }: ClaimToken): boolean {
  const record = dedupKey(key)
  const stored = draft.record(record)
  if (stored === undefined || !isCurrent(draft, read(draft, key), claim)) return false
  draft.forget(record, stored)
  return true
}

function read(draft: Draft, key: string): Claimed | Done | undefined {
  const stored = draft.record(dedupKey(key))
  return stored === undefined ? undefined : (JSON.parse(stored.text) as Claimed | Done)
}

/** Whether nobody else may try yet. */
function isOpen({ time }: Draft, { lifetime }: Claimed): boolean {
  return lifetime !== null && !time.hasEnded(lifetime)
}

function isCurrent(draft: Draft, known: Claimed | Done | undefined, claim: number): known is Claimed {
  return known?.phase === 'claimed' && known.claim === claim && known.epoch === draft.epoch && isOpen(draft, known)
}

/** Who is told that a claim is over must not find it good again behind a restart, when the wall clock decides. */
function tooLate(draft: Draft, { key, claim }: ClaimToken, known: Claimed | Done | undefined): FencedError {
  if (known?.phase === 'claimed' && known.claim === claim && !isOpen(draft, known)) {
    const over: Claimed = { ...known, lifetime: null }
    draft.remember(dedupKey(key), JSON.stringify(over), known.windowMs)
  }
  return new FencedError(`the claim ${String(claim)} of ${key} is over, and its result was not remembered`)
}
