import type { ReloadInfo } from './node-info.js'

/** What decided a setting. */
export type SettingSource =
  | { readonly kind: 'default' }
  | { readonly kind: 'file'; readonly file: string; readonly line: number }
  | { readonly kind: 'environment'; readonly variable: string }
  | { readonly kind: 'flag'; readonly flag: string }

/** A setting of a node. */
export interface SettingInfo {
  /** Such as `storage.block.maxEvents`. */
  readonly path: string
  /** As it was written; `null` for nothing, and for secrets. */
  readonly value: unknown
  readonly secret: boolean
  readonly set: boolean
  /** Whether it was changed and holds only after the next start. */
  readonly waiting: boolean
  readonly source: SettingSource
}

/** Routes and limits as they stand in the file of a node. */
export interface RoutingInfo {
  readonly file: string | null
  /** What stands below `eventRouting:`, comments included. */
  readonly text: string
  /** Of the whole file; to be given back with a change. */
  readonly version: string
  /** Why it cannot be changed over the API; `null` when it can. */
  readonly fixed: string | null
  /** Whether who asks may change it. */
  readonly mayApply: boolean
}

/** Something wrong or odd in a draft; places count from 1. */
export interface DraftNote {
  /** `draft`, or the file or variable that it clashes with. */
  readonly source: string
  readonly line: number
  readonly column: number
  /** Characters that are meant. */
  readonly length: number
  readonly reason: string
  readonly mend: string | null
  /** The same with a drawing of the line. */
  readonly text: string
}

/** What a draft would change. */
export interface DraftChanges {
  readonly settings: readonly string[]
  /** Events that were looked at: the newest of the node, at most 10,000. */
  readonly looked: number
  /** How many of these would go to another stream. */
  readonly elsewhere: number
  readonly moves: readonly { readonly from: string; readonly into: string; readonly events: number }[]
  /** Events that would go at once, beyond what goes anyway. */
  readonly dropped: number
  readonly drops: readonly {
    readonly stream: string
    readonly blocks: number
    readonly events: number
    readonly storedBytes: number
  }[]
  readonly newStreams: readonly string[]
}

/** What is wrong with a draft, or what it would change. */
export interface DraftReport {
  readonly errors: readonly DraftNote[]
  readonly warnings: readonly DraftNote[]
  /** `null` when there are errors. */
  readonly changes: DraftChanges | null
}

/** Routes and limits that are to hold. */
export interface RoutingChange {
  /** YAML to stand below `eventRouting:`. */
  readonly draft: string
  /** Of the file that it was made from. */
  readonly version: string
  /** Whether events may go by it at once; otherwise it is refused then. */
  readonly mayDrop?: boolean
}

/** What a change of routes and limits has changed. */
export interface AppliedRouting extends ReloadInfo {
  /** Of the file as it is now. */
  readonly version: string
}

/** A token for an operator in a browser. */
export interface OperatorToken {
  readonly token: string
  /** Whom its holder publishes and queries as. */
  readonly appId: string
  /** Microseconds since 1970. */
  readonly expiresAt: number
}
