import type { RecordStore } from './backend.js'
import { decideRefund, decideTake, keysOfRefund, keysOfTake, memoryKey } from './decide-limits.js'
import type { Draft } from './draft.js'
import type { TakeAnswer, TakeRequest } from './limit-types.js'

/** Limits of how much is taken in a window of time. Never more is, however many ask at once. */
export class RateLimits {
  readonly #records: RecordStore
  readonly #change: <R>(keys: readonly Buffer[], decide: (draft: Draft) => R) => Promise<R>

  constructor(records: RecordStore, change: <R>(keys: readonly Buffer[], decide: (draft: Draft) => R) => Promise<R>) {
    this.#records = records
    this.#change = change
  }

  /** Takes all parts or none. @throws StateFullError */
  take(request: TakeRequest): Promise<TakeAnswer> {
    return this.#change(keysOfTake(request), (draft) => decideTake(draft, request))
  }

  /** Gives back what was taken under a request id, once. Whether it was there to be given back. */
  async refund(app: string, requestId: string): Promise<boolean> {
    const memory = await this.#records.get(memoryKey(app, requestId))
    // Which limits these are never changes, so it can be read before.
    if (memory === undefined) return false
    return this.#change(keysOfRefund(app, requestId, memory), (draft) => decideRefund(draft, app, requestId))
  }
}
