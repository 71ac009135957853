import type { AppId, TagSet } from '../../core/index.js'
import type { Retention } from '../../storage/index.js'
import type { RouteExplanation } from '../events/router.js'

/** An event as routes see it. */
export interface RouteQuestion {
  readonly tags: TagSet
  readonly appId: AppId
}

/** Where it would go, and why. */
export interface ExplainedRoute extends Omit<RouteExplanation, 'streamNumber'> {
  /** `undefined` for a draft. */
  readonly streamNumber: number | undefined
  /** Limits of the stream; `undefined` for none. */
  readonly retention: Retention | undefined
}
