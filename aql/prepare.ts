import type { AppId, EventOrder, NodeId, StoredEvent, TagSelection } from '../core/index.js'
import type { AqlText, Pragma, TagExpr } from './ast.js'
import { compileQuery } from './compile.js'
import type { CompiledQuery } from './compiled.js'
import { AqlRangesDifferError, AqlSyntaxError, AqlTooComplexError } from './errors.js'
import { checkFeatures, detectFeatures, type Endpoint, type FeatureName } from './features.js'
import { DEFAULT_AQL_LIMITS, type AqlLimits } from './limits.js'
import { LivePipeline, type LiveQuery } from './live-query.js'
import { checkRanges, normalForm } from './normal-form.js'
import { parseText } from './parse.js'
import { checkPlacement } from './placement.js'
import { PRAGMA_NODE_ID, PragmaStore } from './pragma-events.js'
import { QueryRun, rangesDiffer, type RunInput, type RunOutcome } from './query-run.js'
import type { Row } from './rows.js'
import { RunScope } from './scope.js'
import { toSelection, type SelectionContext } from './selection.js'
import type { Failure, Value } from './value.js'

/** Who asks, where and when: what the meaning of a text depends on beside the text. */
export interface PrepareOptions {
  readonly endpoint: Endpoint
  /** The app that asks: `appId(me)`. */
  readonly appId: AppId
  /** Wall clock, µs since 1970; durations count back from it. */
  readonly nowMicros: number
  readonly limits?: Partial<AqlLimits>
}

/** A query that was understood and may run at its endpoint, any number of times. */
export interface PreparedQuery {
  readonly features: readonly string[]
  /** Where its inputs come from: stored events, a source array, or the events of a pragma. */
  readonly source: 'events' | 'array' | 'pragma'
  /** Only stored events are asked for, with nothing to compute: their lines can be sent untouched. */
  readonly passThrough: boolean
  /** The order that the query demands or prefers; without one the order of the request counts. */
  readonly preferredOrder: EventOrder | undefined
  /** Reading may end before everything was read. */
  readonly stopsEarly: boolean
  /** What is read, when it can be known beforehand. */
  readonly selection: TagSelection | undefined
  /**
   * Runs the query once. The returned value tells whether it was complete, so that the offsets line follows. Errors of
   * the reader are thrown on; an aborted signal ends the rows.
   */
  run(input: RunInput): AsyncGenerator<Row[], RunOutcome>
  /**
   * Starts the query as a subscription.
   *
   * @throws AqlSyntaxError when an interpolated tag cannot be computed, AqlRangesDifferError, AqlTooComplexError
   */
  live(input: { readonly nodeId: NodeId }): LiveQuery
}

/**
 * @throws AqlSyntaxError, AqlTooComplexError, AqlFeatureNotEnabledError, AqlUnsupportedFeatureError, and
 *   AqlRangesDifferError on the endpoints for subscriptions
 */
export function prepareQuery(text: string, options: PrepareOptions): PreparedQuery {
  const limits = { ...DEFAULT_AQL_LIMITS, ...options.limits }
  const parsed = parseText(text, limits)
  const features = analyse(parsed, text, options.endpoint)
  return new Prepared(parsed, text, features, options, limits)
}

/** Checks everything about a text that is known without running it. @returns the features it uses */
export function analyse(parsed: AqlText, text: string, endpoint: Endpoint): FeatureName[] {
  checkPlacement(parsed.query, text)
  const features = detectFeatures(parsed.query)
  checkFeatures(parsed.query, features, enabledFeatures(parsed), endpoint)
  return features
}

/** Words of `FEATURES(…)` and of the first pragma of that name. */
function enabledFeatures({ pragmas, features }: AqlText): string[] {
  const words = findPragma(pragmas, 'features')?.value.split(/\p{White_Space}+/u) ?? []
  return [...features, ...words]
}

function findPragma(pragmas: readonly Pragma[], name: string): Pragma | undefined {
  return pragmas.find((pragma) => pragma.name === name)
}

class Prepared implements PreparedQuery {
  readonly features: readonly string[]
  readonly source: 'events' | 'array' | 'pragma'
  readonly passThrough: boolean
  readonly preferredOrder: EventOrder | undefined
  readonly stopsEarly: boolean
  readonly selection: TagSelection | undefined
  readonly #text: string
  readonly #query: CompiledQuery
  readonly #limits: AqlLimits
  readonly #context: SelectionContext
  readonly #pragmaStore: PragmaStore | undefined

  constructor(
    parsed: AqlText,
    text: string,
    features: readonly string[],
    { endpoint, appId, nowMicros }: PrepareOptions,
    limits: AqlLimits,
  ) {
    this.features = features
    this.#text = text
    this.#limits = limits
    this.#context = { appId, nowMicros: BigInt(Math.trunc(nowMicros)) }
    const pragma = findPragma(parsed.pragmas, 'events')
    this.#pragmaStore = pragma === undefined ? undefined : PragmaStore.parse(pragma, text, nowMicros)
    this.#query = guardDepth(() => compileQuery(parsed.query))
    const { source, operations, preferredOrder } = this.#query
    this.source = source.kind === 'array' ? 'array' : pragma === undefined ? 'events' : 'pragma'
    this.preferredOrder = preferredOrder
    this.stopsEarly = operations.some(
      (operation) =>
        operation.kind === 'limit' ||
        (operation.kind === 'aggregate' &&
          (operation.aggregators.length === 0 || operation.preferredOrder !== undefined)),
    )
    this.selection = this.#staticSelection(endpoint)
    this.passThrough = this.source === 'events' && operations.length === 0 && this.selection !== undefined
  }

  run(input: RunInput): AsyncGenerator<Row[], RunOutcome> {
    const store = this.#pragmaStore
    const privately = store === undefined ? input : { ...input, reader: store, nodeId: PRAGMA_NODE_ID }
    const { source } = this.#query
    const selector = (tags: TagExpr) =>
      this.selection !== undefined && source.kind === 'events' && source.tags === tags
        ? this.selection
        : this.#trySelect(tags)
    return new QueryRun(this.#query, { limits: this.#limits }, selector, privately).rows()
  }

  live(_input: { readonly nodeId: NodeId }): LiveQuery {
    const world = { limits: this.#limits }
    const selection = this.selection ?? this.#select(this.#computeTags())
    const store = this.#pragmaStore
    const past: readonly StoredEvent[] = store === undefined ? [] : store.select(selection, 'asc')
    return new LivePipeline(this.#query, world, store === undefined ? selection : { kind: 'none' }, past)
  }

  /** A query may still find out while it runs that its ranges differ; a subscription is refused. */
  #staticSelection(endpoint: Endpoint): TagSelection | undefined {
    const { source } = this.#query
    if (source.kind !== 'events' || source.dynamic !== undefined) return undefined
    try {
      return this.#select(source.tags)
    } catch (error) {
      if (error instanceof AqlRangesDifferError && endpoint === 'query') return undefined
      throw error
    }
  }

  #select(tags: TagExpr): TagSelection {
    checkRanges(normalForm(tags, this.#context, this.#limits.maxBranches))
    return toSelection(tags, this.#context)
  }

  #trySelect(tags: TagExpr): TagSelection | Failure {
    try {
      return this.#select(tags)
    } catch (error) {
      if (error instanceof AqlRangesDifferError || error instanceof AqlTooComplexError) {
        return rangesDiffer(error.message)
      }
      throw error
    }
  }

  /** The interpolated tags of a subscription, which has no sub-queries to wait for. */
  #computeTags(): TagExpr {
    const { source } = this.#query
    if (source.kind !== 'events' || source.dynamic === undefined) {
      throw new AqlSyntaxError('expected a tag expression', this.#text, 0)
    }
    const values: Value[] = []
    for (const evaluate of source.dynamic.evaluates) {
      const scope = new RunScope({ limits: this.#limits }, undefined)
      scope.begin()
      const value = evaluate(scope)
      if (value.kind === 'failure') throw new AqlSyntaxError(value.message, this.#text, source.tags.span.start)
      values.push(value)
    }
    const filled = source.dynamic.fill(values)
    if (filled.kind === 'failure') throw new AqlSyntaxError(filled.message, this.#text, source.tags.span.start)
    return filled
  }
}

/** The nesting limit keeps recursion shallow; this is the net below it. */
function guardDepth<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof RangeError) throw new AqlTooComplexError('the query is too complex: nested too deeply')
    throw error
  }
}
