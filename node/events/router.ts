import { compileSelection, type AppId, type SelectableEvent, type TagSelection, type TagSet } from '../../core/index.js'

/** A route of the configuration, resolved: events that match go to the own stream of this number. */
export interface Route {
  readonly from: TagSelection
  /** The expression as written, for explanations. */
  readonly text: string
  readonly into: string
  readonly streamNumber: number
}

/** Where an event goes and why. */
export interface RouteDecision {
  readonly streamNumber: number
  readonly into: string
  /** Index of the deciding route; `undefined` when none matched and the default stream takes the event. */
  readonly route: number | undefined
}

/** A decision, and what each route says of the event. */
export interface RouteExplanation extends RouteDecision {
  readonly routes: readonly { readonly from: string; readonly into: string; readonly matches: boolean }[]
}

const DEFAULT_DECISION: RouteDecision = { streamNumber: 0, into: 'default', route: undefined }

/**
 * Decides by tags and app which stream an event goes to: the first matching route, else the default stream. Remembers
 * decisions per {@link TagSet} object, which publishers share between events with the same tags.
 */
export class Router {
  readonly #routes: readonly {
    readonly text: string
    readonly matches: (event: SelectableEvent) => boolean
    readonly decision: RouteDecision
  }[]
  readonly #remembered = new Map<AppId, WeakMap<TagSet, RouteDecision>>()

  constructor(routes: readonly Route[]) {
    this.#routes = routes.map((route, index) => ({
      text: route.text,
      matches: compileSelection(route.from, ''),
      decision: { streamNumber: route.streamNumber, into: route.into, route: index },
    }))
  }

  decide(tags: TagSet, appId: AppId): RouteDecision {
    if (this.#routes.length === 0) return DEFAULT_DECISION
    let ofApp = this.#remembered.get(appId)
    if (ofApp === undefined) {
      if (this.#remembered.size >= REMEMBERED_APPS) this.#remembered.clear()
      ofApp = new WeakMap()
      this.#remembered.set(appId, ofApp)
    }
    let decision = ofApp.get(tags)
    if (decision === undefined) {
      decision = this.#search(tags, appId)
      ofApp.set(tags, decision)
    }
    return decision
  }

  explain(tags: TagSet, appId: AppId): RouteExplanation {
    const event = toSelectable(tags, appId)
    const routes = this.#routes.map(({ text, matches, decision: { into } }) => ({
      from: text,
      into,
      matches: matches(event),
    }))
    return { ...this.#search(tags, appId), routes }
  }

  #search(tags: TagSet, appId: AppId): RouteDecision {
    const event = toSelectable(tags, appId)
    return this.#routes.find(({ matches }) => matches(event))?.decision ?? DEFAULT_DECISION
  }
}

/** Routes look at nothing but tags and app. */
function toSelectable(tags: TagSet, appId: AppId): SelectableEvent {
  return { tags, appId, lamport: 0, stream: '', timestamp: 0 }
}

/** Apps whose decisions are remembered at a time. */
const REMEMBERED_APPS = 1024
