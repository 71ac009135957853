import type { EventOrder } from '../core/index.js'
import type { AqlText } from './ast.js'
import { compileQuery } from './compile.js'
import { DEFAULT_AQL_LIMITS } from './limits.js'
import { normalForm, type Branch } from './normal-form.js'
import { parseText } from './parse.js'
import { analyse, prepareQuery, type PrepareOptions } from './prepare.js'
import { renderText } from './render.js'
import type { KeyPoint } from './selection.js'
import { timestampText } from './numbers.js'

/** What a query will do, as plain data for people and tools. */
export interface QueryExplanation {
  /** The text as the parser understood it. */
  readonly query: string
  readonly features: readonly string[]
  readonly source: 'events' | 'array' | 'pragma'
  readonly order: EventOrder | null
  readonly stopsEarly: boolean
  readonly passThrough: boolean
  /** Ways to match; `null` when tags are computed at the start of the run, and for arrays. */
  readonly branches: readonly ExplainedBranch[] | null
  /** Number of operations after the source. */
  readonly operations: number
}

/** Ends are absent where there is no bound; `from` is inclusive, `to` exclusive. */
export interface ExplainedBranch {
  readonly tags: readonly string[]
  readonly appId?: string
  readonly local?: true
  readonly time?: { readonly from?: string; readonly to?: string }
  readonly key?: { readonly from?: string; readonly to?: string }
}

/** @throws what {@link prepareQuery} throws */
export function explainQuery(text: string, options: PrepareOptions): QueryExplanation {
  const limits = { ...DEFAULT_AQL_LIMITS, ...options.limits }
  const parsed = parseText(text, limits)
  const features = analyse(parsed, text, options.endpoint)
  const prepared = prepareQuery(text, options)
  return {
    query: renderText(parsed),
    features,
    source: prepared.source,
    order: prepared.preferredOrder ?? null,
    stopsEarly: prepared.stopsEarly,
    passThrough: prepared.passThrough,
    branches: branchesOf(parsed, options, limits.maxBranches),
    operations: parsed.query.operations.length,
  }
}

function branchesOf({ query }: AqlText, options: PrepareOptions, maxBranches: number): ExplainedBranch[] | null {
  const { source } = compileQuery(query)
  if (source.kind !== 'events' || source.dynamic !== undefined) return null
  const context = { appId: options.appId, nowMicros: BigInt(Math.trunc(options.nowMicros)) }
  return normalForm(source.tags, context, maxBranches).map(explainBranch)
}

function explainBranch({ tags, appId, local, time, key }: Branch): ExplainedBranch {
  const times = explainEnds(time.from, time.to, timestampText)
  const keys = explainEnds(key.from, key.to, keyText)
  return {
    tags,
    ...(appId === undefined ? {} : { appId }),
    ...(local ? { local } : {}),
    ...(times === undefined ? {} : { time: times }),
    ...(keys === undefined ? {} : { key: keys }),
  }
}

function explainEnds<T>(
  from: T | undefined,
  to: T | undefined,
  show: (end: T) => string,
): { readonly from?: string; readonly to?: string } | undefined {
  if (from === undefined && to === undefined) return undefined
  return { ...(from === undefined ? {} : { from: show(from) }), ...(to === undefined ? {} : { to: show(to) }) }
}

function keyText({ lamport, nodeId, number }: KeyPoint): string {
  return `${String(lamport)}/${nodeId}-${String(number)}`
}
