/** What is carried from one state to another: `kv` are entries, counters among them; `dedup` what was appended under idempotency keys. */
export const TRANSFER_KINDS = ['kv', 'dedup'] as const

/** One of them. */
export type TransferKind = (typeof TRANSFER_KINDS)[number]

/** Something that is carried. */
export interface TransferItem {
  readonly kind: TransferKind
  /** Of an entry; of an idempotency key the app, a zero byte and the key. */
  readonly name: string
  /** JSON text. */
  readonly value: string
  /** Absent for what has no end. */
  readonly end: TransferEnd | undefined
}

/** When something ends: `ttlMs` after it was exported, but by the wall clock not later than `expiresAt`. */
export interface TransferEnd {
  readonly ttlMs: number
  /** Milliseconds since 1970. */
  readonly expiresAt: number
}

/** Something that is exported. */
export interface ExportedItem extends TransferItem {
  /** 0 for what has none. */
  readonly version: number
}

/** Part of an export. */
export interface ImportRequest {
  /** Of the state that was exported: what changes from now on gets greater ones, so that no old version is valid here. */
  readonly revision: number
  readonly items: readonly TransferItem[]
  /** Whether entries that are there with another value are overwritten; else they are left. */
  readonly overwrites: boolean
  /** Only finds out what would be. */
  readonly isRehearsal: boolean
}

/** What became of something that was not simply imported. */
export interface ImportRemark {
  readonly kind: TransferKind
  readonly name: string
  /** `expired`: its time was over; `kept`: what is there has another value and stays; `overwritten`: it had another value. */
  readonly outcome: 'expired' | 'kept' | 'overwritten'
}

/** What an import came to. */
export interface ImportReport {
  /** Written, what was overwritten included. */
  readonly imported: number
  /** There already, as after an import that broke off. */
  readonly same: number
  /** By how much the state grows. */
  readonly bytes: number
  readonly remarks: readonly ImportRemark[]
}
