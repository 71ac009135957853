import { isDeepStrictEqual } from 'node:util'
import type { Publication } from '../core/index.js'
import { isCurrent } from './decide-lock.js'
import type { Draft } from './draft.js'
import { CounterInvalidError, CounterRangeError, FencedError, OffsetConflictError } from './errors.js'
import { REMEMBERED_MS } from './limits.js'
import { appendedKey, entryKey, HEAD_KEY, lockKey, requestCountKey, requestKey } from './record-keys.js'
import type { Stored } from './records.js'
import { recallAnswer, rememberAnswer } from './request-memory.js'
import type { Append, Appended, Condition, Entry, Operation, OperationResult, TxnRequest, TxnResult } from './txn.js'

/** Keys of all records that deciding about a transaction looks at. */
export function keysOfTxn(request: TxnRequest): Buffer[] {
  const { app, if: conditions, then, else: otherwise, append, requestId, fencedBy } = request
  const entries = new Set<string>()
  const locks = new Set<string>(fencedBy === undefined ? [] : [fencedBy.lock])
  for (const condition of conditions) {
    if (condition.kind === 'entry') entries.add(condition.key)
    if (condition.kind === 'lock') locks.add(condition.lock)
  }
  for (const { key } of [...then, ...otherwise]) entries.add(key)
  const keys = [HEAD_KEY, ...[...entries].map(entryKey), ...[...locks].map(lockKey)]
  if (requestId !== undefined) keys.push(requestKey(app, requestId), requestCountKey(app))
  for (const { idempotencyKey } of append) {
    if (idempotencyKey !== undefined) keys.push(appendedKey(app, idempotencyKey))
  }
  return keys
}

/**
 * Does what a transaction asks for. A request id that is known gets the answer that it got before.
 *
 * @throws FencedError, OffsetConflictError, CounterRangeError, CounterInvalidError, StateFullError
 */
export function decideTxn(draft: Draft, request: TxnRequest): TxnResult {
  const { app, requestId, fencedBy } = request
  if (requestId !== undefined) {
    const answer = recallAnswer(draft, app, requestId)
    if (answer !== undefined) return answer
  }
  if (fencedBy !== undefined && !isCurrent(draft, fencedBy)) {
    throw new FencedError(`the grant ${String(fencedBy.fence)} of the lock ${fencedBy.lock} has ended`)
  }
  const succeeded = request.if.every((condition) => holds(draft, condition))
  const appended = succeeded ? appendAll(draft, request) : []
  const results = (succeeded ? request.then : request.else).map((operation) => perform(draft, operation))
  const answer = { succeeded, revision: draft.revision, results, appended }
  if (requestId !== undefined) rememberAnswer(draft, app, requestId, answer)
  return answer
}

function holds(draft: Draft, condition: Condition): boolean {
  if (condition.kind === 'stream') return draft.view.lastOffset(condition.streamNumber) === condition.offset
  if (condition.kind === 'lock') return isCurrent(draft, condition)
  const { version, value, exists } = condition
  const entry = draft.entry(condition.key)
  if (version !== undefined && (entry?.version ?? 0) !== version) return false
  if (exists !== undefined && (entry !== undefined) !== exists) return false
  return value === undefined || (entry !== undefined && isSameJson(entry.text, value))
}

/** Whether two JSON texts stand for the same value. */
export function isSameJson(one: string, other: string): boolean {
  return one === other || isDeepStrictEqual(JSON.parse(one), JSON.parse(other))
}

function perform(draft: Draft, operation: Operation): OperationResult {
  const { key } = operation
  switch (operation.kind) {
    case 'get':
      return { kind: 'get', key, entry: entryFor(draft, key) }
    case 'set':
      draft.set(key, operation.value, operation.ttl)
      return { kind: 'set', version: draft.revision }
    case 'delete':
      return { kind: 'delete', deleted: draft.delete(key) }
    case 'increment': {
      const value = incremented(draft.entry(key), operation)
      draft.set(key, value, operation.ttl)
      return { kind: 'increment', value, version: draft.revision }
    }
  }
}

/** An entry as it is told. */
export function entryFor(draft: Draft, key: string): Entry | null {
  const stored = draft.entry(key)
  if (stored === undefined) return null
  const expiresAt = draft.expiresAt(stored)
  return { key, value: stored.text, version: stored.version, ...(expiresAt === undefined ? {} : { expiresAt }) }
}

type Increment = Extract<Operation, { readonly kind: 'increment' }>

function incremented(entry: Stored | undefined, { key, delta, min, max }: Increment): string {
  const text = entry?.text ?? '0'
  if (!/^-?[0-9]+$/.test(text)) throw new CounterInvalidError(key)
  const value = BigInt(text) + delta
  if (value < min || value > max) throw new CounterRangeError(value, min, max)
  return String(value)
}

/** All expected offsets are those before anything of this is appended; what was appended before is not looked at again. */
function appendAll(draft: Draft, { app, append }: TxnRequest): readonly Appended[] {
  const known = append.map(({ idempotencyKey }) =>
    idempotencyKey === undefined ? undefined : draft.record(appendedKey(app, idempotencyKey)),
  )
  append.forEach(({ expected }, at) => {
    if (known[at] !== undefined) return
    for (const { streamNumber, stream, offset } of expected) {
      const actual = draft.view.lastOffset(streamNumber)
      if (actual !== offset) throw new OffsetConflictError(stream, offset, actual)
    }
  })
  return append.flatMap((part) => appendOnce(draft, app, part))
}

function appendOnce(draft: Draft, app: string, { request, idempotencyKey }: Append): readonly Appended[] {
  if (idempotencyKey === undefined) return appendedNow(draft.view.append(request))
  const record = appendedKey(app, idempotencyKey)
  const known = draft.record(record)
  if (known !== undefined) {
    const publications = JSON.parse(known.text) as readonly Publication[]
    return publications.map((publication) => ({ ...publication, duplicate: true }))
  }
  const publications = draft.view.append(request)
  draft.remember(record, JSON.stringify(publications), REMEMBERED_MS)
  return appendedNow(publications)
}

function appendedNow(publications: readonly Publication[]): readonly Appended[] {
  return publications.map((publication) => ({ ...publication, duplicate: false }))
}
