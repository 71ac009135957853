import type { AppId } from '../core/index.js'

/** Who wants to do something once. */
export interface ClaimRequest {
  readonly app: AppId
  /** Of what is to be done, with its namespace. */
  readonly key: string
  /** How long the result is remembered from when it is there, milliseconds. */
  readonly windowMs: number
  /** How long it may take, milliseconds; then somebody else may try. */
  readonly staleMs: number
  /** A second request with it gets the same claim. */
  readonly requestId: string | undefined
}

/** Who is to do it: the caller, somebody who is at it, or nobody any more. */
export type ClaimAnswer =
  | {
      readonly kind: 'new'
      readonly token: ClaimToken
      /** 1, and more for each claim before it that got no result in time. */
      readonly attempt: number
    }
  | { readonly kind: 'inProgress'; readonly sinceMs: number; readonly attempt: number }
  | {
      readonly kind: 'done'
      /** JSON text. */
      readonly result: string
      readonly atMs: number
    }

/** A claim: no two have the same number. */
export interface ClaimToken {
  /** With its namespace. */
  readonly key: string
  readonly claim: number
}
