import type { AppId } from '../core/index.js'

/** `epoch`: windows follow each other, from 1970 on. `sliding`: any window of that length counts, to a sixtieth of it. */
export type LimitAlign = 'epoch' | 'sliding'

/** How much of one limit is wanted. */
export interface LimitPart {
  /** With its namespace. */
  readonly name: string
  /** Up to `max`. */
  readonly n: number
  readonly max: number
  readonly windowMs: number
  readonly align: LimitAlign
}

/** What is taken at once, or not at all. */
export interface TakeRequest {
  readonly app: AppId
  /** Different ones. */
  readonly parts: readonly LimitPart[]
  /** A second request with it gets the first answer, and by it what was taken can be given back. */
  readonly requestId: string | undefined
}

/** What came of it. */
export interface TakeAnswer {
  /** Whether all of it was taken. */
  readonly ok: boolean
  /** Milliseconds after which it may be tried again; 0 when it was taken. */
  readonly retryAfterMs: number
  /** In the order of the request. */
  readonly parts: readonly {
    readonly name: string
    /** In the window, with what was taken now. */
    readonly used: number
    readonly retryAfterMs: number
  }[]
}
