import type { AppId } from '../core/index.js'
import type { AppendRequest } from '../storage/index.js'
import type { Ttl } from './draft.js'
import type { Fence } from './lock-types.js'

/** What has to hold for the operations of `then` to be done. */
export type Condition =
  | {
      readonly kind: 'entry'
      readonly key: string
      /** 0 for an entry that is absent. */
      readonly version: number | undefined
      /** JSON text; compared as values, not as texts. */
      readonly value: string | undefined
      readonly exists: boolean | undefined
    }
  | {
      readonly kind: 'stream'
      readonly streamNumber: number
      /** Newest offset that the stream has ever used; -1 when none. */
      readonly offset: number
    }
  /** That this grant of a lock is there. */
  | ({ readonly kind: 'lock' } & Fence)

/** What is done to an entry. */
export type Operation =
  | { readonly kind: 'get'; readonly key: string }
  | { readonly kind: 'set'; readonly key: string; readonly value: string; readonly ttl: Ttl }
  | { readonly kind: 'delete'; readonly key: string }
  | {
      readonly kind: 'increment'
      readonly key: string
      readonly delta: bigint
      readonly min: bigint
      readonly max: bigint
      readonly ttl: Ttl
    }

/** Events that are stored in the commit, once for an idempotency key. */
export interface Append {
  readonly request: AppendRequest
  /** Newest offsets that streams must have before this transaction. */
  readonly expected: readonly { readonly streamNumber: number; readonly stream: string; readonly offset: number }[]
  readonly idempotencyKey: string | undefined
}

/** Operations that are done at once, or not at all. */
export interface TxnRequest {
  /** Whose request ids and idempotency keys these are; empty for the operator. */
  readonly app: AppId
  readonly if: readonly Condition[]
  readonly then: readonly Operation[]
  readonly else: readonly Operation[]
  /** Done with `then`. */
  readonly append: readonly Append[]
  readonly requestId: string | undefined
  /** Refused when this grant of a lock has ended. */
  readonly fencedBy?: Fence | undefined
}

/** An entry for its readers. */
export interface Entry {
  readonly key: string
  /** JSON text. */
  readonly value: string
  readonly version: number
  /** Milliseconds since 1970; absent when it does not expire. */
  readonly expiresAt?: number
}

/** What an operation came to. Plain JSON, so that it can be stored and told once more. */
export type OperationResult =
  | { readonly kind: 'get'; readonly key: string; readonly entry: Entry | null }
  | { readonly kind: 'set'; readonly version: number }
  | { readonly kind: 'delete'; readonly deleted: boolean }
  | { readonly kind: 'increment'; readonly value: string; readonly version: number }

/** An event that is stored. */
export interface Appended {
  readonly lamport: number
  readonly stream: string
  readonly offset: number
  readonly timestamp: number
  /** Whether an earlier request with the same idempotency key has stored it. */
  readonly duplicate: boolean
}

/** What a transaction came to. */
export interface TxnResult {
  /** Whether all conditions held. */
  readonly succeeded: boolean
  /** Of this commit, or of the newest change when it has changed nothing. */
  readonly revision: number
  readonly results: readonly OperationResult[]
  readonly appended: readonly Appended[]
}
