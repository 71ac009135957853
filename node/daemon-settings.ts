import type { AqlLimits } from '../aql/index.js'
import type { TagSelection } from '../core/index.js'
import type { Retention, SyncMode } from '../storage/index.js'
import type { AccessRules, ApiLimits, ListenAddress } from './api/index.js'

/** What the daemon needs to know, all decided: `config` produces this shape. */
export interface DaemonSettings {
  /** Absolute path. */
  readonly dataDirectory: string
  readonly api: {
    readonly listen: readonly ListenAddress[]
    /** Absolute path of the Unix socket. */
    readonly socket: string
    readonly access: AccessRules
    readonly limits: ApiLimits
  }
  /** Bounds of one query. */
  readonly query: AqlLimits
  readonly storage: {
    readonly sync: SyncMode
    readonly block: { readonly maxEvents: number; readonly maxBytes: number }
    readonly pruneIntervalMs: number
    readonly cacheBytes: number
    readonly maxInFlightBytes: number
    readonly maxUnsealedBytes: number
  }
  /** In the order in which they are tried. */
  readonly routes: readonly RouteSettings[]
  /** Limits by stream name; what is not named keeps everything. */
  readonly retention: ReadonlyMap<string, Retention>
}

/** One route: events that `selection` chooses go into the stream named `into`. */
export interface RouteSettings {
  /** The expression as written. */
  readonly from: string
  readonly selection: TagSelection
  readonly into: string
}
