import type { ReloadReport } from '../node-reports.js'
import type { ExplainedRoute, RouteQuestion } from './explained-route.js'

/** A setting in force. */
export interface SettingLine {
  /** Such as `storage.block.maxEvents`. */
  readonly path: string
  /** As it was written; nothing for a secret. */
  readonly value: unknown
  readonly isSecret: boolean
  readonly isSet: boolean
  /** Whether it holds only after the next start. */
  readonly isWaiting: boolean
  readonly source:
    | { readonly kind: 'default' }
    | { readonly kind: 'file'; readonly file: string; readonly line: number }
    | { readonly kind: 'environment'; readonly variable: string }
    | { readonly kind: 'flag'; readonly flag: string }
}

/** What stands in the file below `eventRouting:`. */
export interface RoutingDraft {
  readonly file: string | undefined
  readonly text: string
  /** Of the whole file. */
  readonly version: string
  /** Why it cannot be changed from here, if so. */
  readonly fixed: string | undefined
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
  readonly mend: string | undefined
  /** All of it as text, with a drawing of the line. */
  readonly text: string
}

/** What a draft would change. */
export interface DraftReport {
  readonly errors: readonly DraftNote[]
  readonly warnings: readonly DraftNote[]
  /** `undefined` when there are errors. */
  readonly changes:
    | {
        /** By the names of the configuration. */
        readonly settings: readonly string[]
        /** Events that were looked at: the newest of this node. */
        readonly looked: number
        /** How many of these would go from which stream to which. */
        readonly moves: readonly { readonly from: string; readonly into: string; readonly events: number }[]
        /** What would go at once. */
        readonly drops: readonly {
          readonly name: string
          readonly blocks: number
          readonly events: number
          readonly storedBytes: number
        }[]
        readonly newStreams: readonly string[]
      }
    | undefined
}

export interface AppliedRouting extends ReloadReport {
  readonly version: string
}

/** The configuration of the node, as it is and as it could be. */
export interface ConfigDesk {
  /** In the order of the reference. */
  settings(): readonly SettingLine[]
  /** @throws ERR_CONFIG_UNREADABLE */
  routing(): RoutingDraft
  /** @throws ERR_CONFIG_UNREADABLE, ERR_CONFIG_FIXED */
  check(draft: string): Promise<DraftReport>
  /** @throws ERR_CONFIG_INVALID */
  explainRoute(draft: string, question: RouteQuestion): ExplainedRoute
  /**
   * Writes the draft into the file and applies it.
   *
   * @throws ERR_CONFIG_INVALID, ERR_CONFIG_CHANGED, ERR_CONFIG_FIXED, ERR_CONFIG_DROPS_EVENTS unless `mayDrop`
   */
  applyRouting(draft: string, version: string, mayDrop: boolean): Promise<AppliedRouting>
}
