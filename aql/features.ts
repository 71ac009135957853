import type { Expr, Item, Operation, Part, Query, TagExpr } from './ast.js'
import { AqlFeatureNotEnabledError, AqlUnsupportedFeatureError } from './errors.js'

/** Where a query is asked. */
export type Endpoint = 'query' | 'subscribe' | 'subscribe_monotonic'

type Stage = 'released' | 'beta'

interface Feature {
  readonly stage: Stage
  readonly notOn: readonly Endpoint[]
}

const BOTH: readonly Endpoint[] = ['subscribe', 'subscribe_monotonic']

/** Everything that a query can use beyond the basics. */
const FEATURES = {
  timeRange: { stage: 'released', notOn: [] },
  eventKeyRange: { stage: 'released', notOn: [] },
  multiEmission: { stage: 'beta', notOn: BOTH },
  aggregate: { stage: 'beta', notOn: ['subscribe_monotonic'] },
  subQuery: { stage: 'beta', notOn: BOTH },
  limit: { stage: 'released', notOn: ['subscribe_monotonic'] },
  binding: { stage: 'released', notOn: [] },
  interpolation: { stage: 'beta', notOn: [] },
  fromArray: { stage: 'beta', notOn: BOTH },
  spread: { stage: 'beta', notOn: [] },
} as const satisfies Readonly<Record<string, Feature>>

export type FeatureName = keyof typeof FEATURES

const NAMES = Object.keys(FEATURES) as FeatureName[]

const ENDPOINT_NAMES: Readonly<Record<Endpoint, string>> = {
  query: 'Query',
  subscribe: 'Subscribe',
  subscribe_monotonic: 'SubscribeMonotonic',
}

/** Features that the text uses, evaluated or not, in a fixed order. */
export function detectFeatures(query: Query): FeatureName[] {
  const found = new Set<FeatureName>()
  const detector = new Detector(found)
  detector.query(query, true)
  return NAMES.filter((name) => found.has(name))
}

/**
 * @param enabled words of `FEATURES(…)` and of the pragma; unknown ones are ignored
 * @throws AqlFeatureNotEnabledError, AqlUnsupportedFeatureError
 */
export function checkFeatures(
  query: Query,
  used: readonly FeatureName[],
  enabled: readonly string[],
  endpoint: Endpoint,
): void {
  if (query.source.kind === 'array') checkEndpoint(['fromArray'], endpoint)
  const missing = used.filter((name) => FEATURES[name].stage === 'beta' && !enabled.includes(name))
  if (missing.length > 0) {
    throw new AqlFeatureNotEnabledError(`The query uses beta features that are not enabled: ${missing.join(' ')}.`)
  }
  checkEndpoint(used, endpoint)
}

function checkEndpoint(used: readonly FeatureName[], endpoint: Endpoint): void {
  for (const name of used) {
    const notOn: readonly Endpoint[] = FEATURES[name].notOn
    if (notOn.includes(endpoint)) {
      throw new AqlUnsupportedFeatureError(
        `Feature \`${name}\` is not supported on endpoint \`${ENDPOINT_NAMES[endpoint]}\`.`,
      )
    }
  }
}

class Detector {
  readonly #found: Set<FeatureName>

  constructor(found: Set<FeatureName>) {
    this.#found = found
  }

  query(query: Query, outermost: boolean): void {
    if (query.source.kind === 'events') this.#tags(query.source.tags)
    else {
      this.#found.add('fromArray')
      // In a sub-query the reference ignores the spread of a source, so that it never asked for the feature.
      this.#items(query.source.items, outermost)
    }
    for (const operation of query.operations) this.#operation(operation)
  }

  #operation(operation: Operation): void {
    switch (operation.kind) {
      case 'limit':
        this.#found.add('limit')
        return
      case 'select':
        if (operation.items.length > 1) this.#found.add('multiEmission')
        this.#items(operation.items, true)
        return
      case 'aggregate':
        this.#found.add('aggregate')
        break
      case 'let':
        this.#found.add('binding')
        break
      case 'filter':
        break
    }
    this.#expr(operation.expr)
  }

  #items(items: readonly Item[], spreadCounts: boolean): void {
    for (const item of items) {
      if (item.spread && spreadCounts) this.#found.add('spread')
      this.#expr(item.expr)
    }
  }

  #tags(expr: TagExpr): void {
    switch (expr.kind) {
      case 'or':
      case 'and':
        for (const term of expr.terms) this.#tags(term)
        return
      case 'time':
        this.#found.add('timeRange')
        return
      case 'key':
        this.#found.add('eventKeyRange')
        return
      case 'interpolation':
        this.#interpolation(expr.parts)
        return
      default:
    }
  }

  #interpolation(parts: readonly Part[]): void {
    this.#found.add('interpolation')
    for (const part of parts) if (typeof part !== 'string') this.#expr(part)
  }

  #expr(expr: Expr): void {
    if (expr.kind === 'interpolation') this.#interpolation(expr.parts)
    else if (expr.kind === 'array') this.#items(expr.items, true)
    else if (expr.kind === 'subQuery') {
      this.#found.add('subQuery')
      this.query(expr.query, false)
    } else for (const child of childrenOf(expr)) this.#expr(child)
  }
}

/** The expressions directly inside an expression; those of a sub-query are not its own. */
export function childrenOf(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case 'index':
      return [expr.head, ...expr.path.flatMap((index) => (index.kind === 'computed' ? [index.expr] : []))]
    case 'interpolation':
      return expr.parts.filter((part) => typeof part !== 'string')
    case 'object':
      return expr.members.flatMap(({ key, value }) => (key.kind === 'computed' ? [key.expr, value] : [value]))
    case 'array':
      return expr.items.map((item) => item.expr)
    case 'cases':
      return expr.branches.flatMap(({ condition, result }) => [condition, result])
    case 'call':
      return expr.args
    case 'not':
      return [expr.operand]
    case 'chain':
      return [expr.first, ...expr.rest.map((link) => link.operand)]
    case 'aggregator':
      return [expr.arg]
    default:
      return []
  }
}
