import type { Publication } from '../core/index.js'

/** Revision of the commit that wrote an entry; never given out twice. */
export type Version = bigint

/** How long an entry lives: so many milliseconds, as long as what it replaces, or without end. */
export type Ttl = { readonly ttlMs: number } | 'keep' | null

/** An entry. */
export interface StateEntry<V = unknown> {
  /** With its namespace. */
  readonly key: string
  readonly value: V
  readonly version: Version
  /** About when it expires, milliseconds since 1970; absent when it does not. */
  readonly expiresAt?: number
}

/** Some entries of one moment. */
export interface StatePage<V = unknown> {
  readonly entries: readonly StateEntry<V>[]
  readonly revision: Version
  /** Key behind which the next page begins; `undefined` for the last one. */
  readonly next: string | undefined
}

/** What one commit has changed. */
export interface StateCommit {
  readonly revision: Version
  readonly changes: readonly StateChange[]
}

/** An entry that was written or is gone. */
export type StateChange =
  | { readonly key: string; readonly value: unknown; readonly deleted?: undefined }
  | { readonly key: string; readonly deleted: true; readonly expired?: true; readonly value?: undefined }

/** A grant of a lock that has to be there. */
export interface FencedBy {
  /** Name of the lock. */
  readonly lock: string
  readonly fence: bigint
}

/** What has to hold for a transaction. */
export type StateCondition =
  | { readonly key: string; readonly version?: Version; readonly value?: unknown; readonly exists?: boolean }
  | { readonly stream: string; readonly offset: number }
  | FencedBy

/** What is done to an entry. */
export type StateOperation =
  | { readonly op: 'get' | 'delete'; readonly key: string }
  | { readonly op: 'set'; readonly key: string; readonly value: unknown; readonly ttl?: Ttl }
  | {
      readonly op: 'increment'
      readonly key: string
      readonly delta?: bigint | number
      readonly min?: bigint
      readonly max?: bigint
      readonly ttl?: Ttl
    }

/** An event that is stored in the commit of a transaction. */
export interface StateAppend {
  readonly tags: readonly string[]
  readonly payload: unknown
  /** Newest offset that its stream must have before; -1 for none. */
  readonly expectedOffset?: number
  /** Has it stored once, for a day. */
  readonly idempotencyKey?: string
}

/** Operations that are done at once, or not at all. */
export interface StateTxn {
  readonly if?: readonly StateCondition[]
  readonly then?: readonly StateOperation[]
  readonly else?: readonly StateOperation[]
  /** With `then`. */
  readonly append?: readonly StateAppend[]
}

/** What a transaction came to; results are those of the node, their versions and counters decimals in strings. */
export interface StateTxnResult {
  readonly succeeded: boolean
  readonly revision: Version
  readonly results: readonly unknown[]
  readonly appended: readonly (Publication & { readonly duplicate: boolean })[]
}

/** How the state is. */
export interface StateInfo {
  readonly backend: string
  readonly scope: string
  readonly revision: Version
  readonly entries: number
  readonly bytes: number
  readonly maxBytes: number
  readonly sameCommitAppend: boolean
  readonly durable: boolean
}

/** How part of an export is taken over. */
export interface StateImportOptions {
  /** Also entries that are there with another value; else those stay. */
  readonly overwrite?: boolean
  /** Only find out what would be. */
  readonly dryRun?: boolean
}

/** What an import came to. */
export interface StateImport {
  readonly imported: number
  /** There already, with the same value. */
  readonly same: number
  /** By how much the state grows. */
  readonly bytes: number
  readonly remarks: readonly {
    readonly type: string
    /** Of an idempotency key. */
    readonly app?: string
    readonly key: string
    readonly outcome: 'expired' | 'kept' | 'overwritten'
  }[]
}

/** Whether the state is whole. */
export interface StateVerified {
  readonly records: number
  readonly entries: number
  /** Whether nothing was written meanwhile, so that the sums could be compared. */
  readonly still: boolean
  readonly repaired: boolean
  readonly faults: readonly {
    readonly record: string
    readonly kind: 'damaged' | 'index' | 'count'
    readonly problem: string
  }[]
}
