import type { Limits } from './streams.js'

/** Where an event would go, and why. */
export interface RouteReport {
  /** Name of the stream. */
  readonly stream: string
  /** Its number among the streams of the node; `null` for a draft. */
  readonly number: number | null
  /** Index of the deciding route; `null` when none matches and the stream is `default`. */
  readonly route: number | null
  /** As they would be stored. */
  readonly tags: readonly string[]
  readonly appId: string
  /** All routes in force, in the order in which they are tried. */
  readonly routes: readonly {
    readonly from: string
    readonly into: string
    readonly matches: boolean
    /** What the expression looks at, and whether the event has it; nodes before this had none. */
    readonly atoms?: readonly { readonly atom: string; readonly holds: boolean }[]
  }[]
  readonly retention: Limits | null
}
