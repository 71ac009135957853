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

/** A part of the expression of a route: a tag in quotes, or an app. */
export interface RouteAtom {
  readonly atom: string
  /** Whether the event has it. */
  readonly holds: boolean
}

/** A decision, and what each route says of the event. */
export interface RouteExplanation extends RouteDecision {
  readonly routes: readonly {
    readonly from: string
    readonly into: string
    readonly matches: boolean
    /** Each once, in the order of the expression. */
    readonly atoms: readonly RouteAtom[]
  }[]
}

const DEFAULT_DECISION: RouteDecision = { streamNumber: 0, into: 'default', route: undefined }

/**
 * Decides by tags and app which stream an event goes to: the first matching route, else the default stream. Remembers
 * decisions per {@link TagSet} object, which publishers share between events with the same tags.
 */
export class Router {
  readonly #routes: readonly {
    readonly text: string
    readonly from: TagSelection
    readonly matches: (event: SelectableEvent) => boolean
    readonly decision: RouteDecision
  }[]
  readonly #remembered = new Map<AppId, WeakMap<TagSet, RouteDecision>>()

  constructor(routes: readonly Route[]) {
    this.#routes = routes.map((route, index) => ({
      text: route.text,
      from: route.from,
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
    const routes = this.#routes.map(({ text, from, matches, decision: { into } }) => ({
      from: text,
      into,
      matches: matches(event),
      atoms: Array.from(atomsOf(from), ([atom, holds]) => ({ atom, holds: holds(event) })),
    }))
    return { ...this.#search(tags, appId), routes }
  }

  #search(tags: TagSet, appId: AppId): RouteDecision {
    const event = toSelectable(tags, appId)
    return this.#routes.find(({ matches }) => matches(event))?.decision ?? DEFAULT_DECISION
  }
}

/** The parts of an expression as they are written, and how each is decided. */
function atomsOf(selection: TagSelection): ReadonlyMap<string, (event: SelectableEvent) => boolean> {
  switch (selection.kind) {
    case 'tags':
      return new Map(
        Array.from(selection.anyOf, (tag) => [`'${tag.replaceAll("'", "''")}'`, ({ tags }) => tags.includes(tag)]),
      )
    case 'appId':
      return new Map([[`appId(${selection.appId})`, ({ appId }) => appId === selection.appId]])
    case 'and':
    case 'or':
      return new Map(selection.terms.flatMap((term) => [...atomsOf(term)]))
    default:
      return new Map()
  }
}

/** Routes look at nothing but tags and app. */
function toSelectable(tags: TagSet, appId: AppId): SelectableEvent {
  return { tags, appId, lamport: 0, stream: '', timestamp: 0 }
}

/** Apps whose decisions are remembered at a time. */
const REMEMBERED_APPS = 1024
