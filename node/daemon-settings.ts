import type { TagSelection } from '../core/index.js'
import type { Retention } from '../storage/index.js'
import type { ListenAddress } from './api/index.js'

/** What the daemon needs to know, all decided: `config` produces this shape. */
export interface DaemonSettings {
  readonly api: {
    readonly listen: readonly ListenAddress[]
    /** Path of the Unix socket; `null` puts it into the data directory. */
    readonly socket: string | null
    readonly apps: readonly string[]
    readonly hosts: readonly string[]
    readonly origins: readonly string[]
    readonly limits: {
      /** Bytes, as the next two. */
      readonly body: number
      readonly message: number
      readonly memory: number
      readonly query: QueryLimits
    }
  }
  readonly data: string
  readonly eventRouting: {
    readonly routes: readonly RouteSettings[]
    readonly streams: ReadonlyMap<string, Retention>
  }
  readonly storage: {
    readonly sync: 'always' | 'os' | { readonly intervalMs: number }
    readonly block: { readonly maxEvents: number; readonly maxBytes: number }
    /** Milliseconds. */
    readonly pruneInterval: number
    /** Bytes, as the next three. */
    readonly cache: number
    readonly maxInFlight: number
    readonly maxUnsealed: number
    /** Kept free for opening the databases on a full disk. */
    readonly reserve: number
  }
}

export interface RouteSettings {
  /** The expression as written. */
  readonly from: string
  readonly selection: TagSelection
  readonly into: string
}

/** Bounds of one query; beyond them it is refused. */
export interface QueryLimits {
  /** Bytes of the text. */
  readonly text: number
  readonly nesting: number
  readonly operands: number
  readonly branches: number
  readonly values: number
}
