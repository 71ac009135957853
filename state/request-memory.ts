import type { Draft } from './draft.js'
import { REMEMBERED_MS } from './limits.js'
import { requestCountKey, requestKey, requestOrderKey } from './record-keys.js'
import { decodeStored, encodeStored, type Stored } from './records.js'
import type { Entry, OperationResult, TxnResult } from './txn.js'

/** Characters of an answer that is remembered as it is; of a longer one the values that were read are left out. */
const MAX_ANSWER = 16 * 1024

/** What was answered to a request id, if it is known. */
export function recallAnswer(draft: Draft, app: string, id: string): TxnResult | undefined {
  const text = recall(draft, app, id)
  if (text === undefined) return undefined
  const { results, ...answer } = JSON.parse(text) as TxnResult
  return { ...answer, results: results.map((result) => completed(draft, result)) }
}

/** A value that was left out is read anew. */
function completed(draft: Draft, result: OperationResult): OperationResult {
  if (result.kind !== 'get' || result.entry === null || typeof (result.entry as Partial<Entry>).value === 'string') {
    return result
  }
  const stored = draft.entry(result.key)
  return {
    ...result,
    entry: stored === undefined ? null : { ...result.entry, value: stored.text, version: stored.version },
  }
}

/** Has later requests with this id get the same answer. */
export function rememberAnswer(draft: Draft, app: string, id: string, answer: TxnResult): void {
  const text = JSON.stringify(answer)
  remember(draft, app, id, text.length <= MAX_ANSWER ? text : JSON.stringify(withoutValues(answer)))
}

/** What is remembered of a request. */
export function recall(draft: Draft, app: string, id: string): string | undefined {
  return draft.record(requestKey(app, id))?.text
}

/** Remembers something of a request, for a day and as long as it is among the newest of the app. */
export function remember(draft: Draft, app: string, id: string, text: string): void {
  const { view, time } = draft
  const key = requestKey(app, id)
  const before = view.get(key)
  if (before === undefined) countRequests(draft, app, 1)
  else dropFromOrder(draft, app, id, decodeStored(before))
  const lifetime = time.lifetime(REMEMBERED_MS)
  view.put(key, encodeStored({ version: 0, lifetime, text }))
  view.put(requestOrderKey(app, lifetime.runDeadlineMs, id), NOTHING)
}

function withoutValues({ results, ...answer }: TxnResult): object {
  return {
    ...answer,
    results: results.map((result) => {
      if (result.kind !== 'get' || result.entry === null) return result
      const { value: _value, ...entry } = result.entry
      return { ...result, entry }
    }),
  }
}

/**
 * Forgets an answer that the index names, if its time is over or `isTooMany`. Returns whether those behind it in the index
 * are worth a look.
 */
export function forgetAnswer(
  draft: Draft,
  app: string,
  { id, deadlineMs }: { readonly id: string; readonly deadlineMs: number },
  isTooMany: boolean,
): boolean {
  const key = requestKey(app, id)
  const content = draft.view.get(key)
  const stored = content === undefined ? undefined : decodeStored(content)
  if (stored?.lifetime?.runDeadlineMs !== deadlineMs) {
    draft.view.delete(requestOrderKey(app, deadlineMs, id))
    return true
  }
  if (!isTooMany && !draft.time.hasEnded(stored.lifetime)) return false
  draft.view.delete(key)
  draft.view.delete(requestOrderKey(app, deadlineMs, id))
  countRequests(draft, app, -1)
  return true
}

/** How many answers of an app are remembered. */
export function countOf(content: Buffer | undefined): number {
  return content === undefined ? 0 : content.readDoubleBE(0)
}

function countRequests({ view }: Draft, app: string, change: number): void {
  const key = requestCountKey(app)
  const count = countOf(view.get(key)) + change
  if (count <= 0) {
    view.delete(key)
    return
  }
  view.put(key, encodeCount(count))
}

/** How many answers of an app are remembered, as it is stored. */
export function encodeCount(count: number): Buffer {
  const content = Buffer.allocUnsafe(8)
  content.writeDoubleBE(count)
  return content
}

function dropFromOrder({ view }: Draft, app: string, id: string, { lifetime }: Stored): void {
  if (lifetime !== undefined) view.delete(requestOrderKey(app, lifetime.runDeadlineMs, id))
}

const NOTHING = Buffer.alloc(0)
