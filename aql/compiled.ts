import type { EventOrder } from '../core/index.js'
import type { AggregatorOp, TagExpr } from './ast.js'
import type { AqlLimits } from './limits.js'
import type { Failure, Result, Value } from './value.js'

/** An expression made ready. Pure: evaluating it again with the same scope gives the same. */
export type Evaluate = (scope: Scope) => Result

/** What the query can see of the world. */
export interface World {
  readonly limits: AqlLimits
}

/** What an expression can see while it is evaluated. */
export interface Scope {
  readonly world: World
  readonly parent: Scope | undefined
  /** Values of `LET`, by slot. Later outputs of the same input overwrite the slots behind them, which nobody reads then. */
  readonly slots: readonly (Value | undefined)[]
  /** `_`. */
  readonly input: Value | undefined
  /** Outcomes of the aggregators while the expression of `AGGREGATE` is evaluated. */
  readonly aggregates: readonly Result[]
  /** Outcomes of the sub-queries of the expression that is being evaluated, by number. */
  readonly results: ReadonlyMap<number, Result>
  /** A sub-query whose outcome is missing: it has to be run, and the expression evaluated again. */
  pending: CompiledQuery | undefined
  /** @returns a failure when the expression has used up what it may use */
  charge(cells: number): Failure | undefined
  /** @param total length of the text to which `characters` are added */
  chargeText(characters: number, total: number): Failure | undefined
}

/** A query made ready to run; holds no state of a run. */
export interface CompiledQuery {
  /** Unique within the outermost query. */
  readonly id: number
  readonly source: CompiledSource
  readonly operations: readonly CompiledOperation[]
  /** The order that `ORDER` demands, else the one that an aggregation prefers. */
  readonly preferredOrder: EventOrder | undefined
}

export type CompiledSource =
  | { readonly kind: 'events'; readonly tags: TagExpr; readonly dynamic: DynamicTags | undefined }
  | { readonly kind: 'array'; readonly items: readonly CompiledItem[] }

export interface CompiledItem {
  readonly spread: boolean
  readonly evaluate: Evaluate
  /** A sub-query that is spread: each of its results keeps its own metadata. */
  readonly keepsMeta: boolean
}

/** `weight` says how much work one evaluation is, in nodes of the syntax tree. */
export type CompiledOperation =
  | { readonly kind: 'filter'; readonly evaluate: Evaluate; readonly weight: number }
  | { readonly kind: 'select'; readonly items: readonly CompiledItem[]; readonly weight: number }
  | { readonly kind: 'limit'; readonly count: number; readonly weight: number }
  | { readonly kind: 'let'; readonly slot: number; readonly evaluate: Evaluate; readonly weight: number }
  | { readonly kind: 'replace'; readonly evaluate: Evaluate; readonly weight: number }
  | CompiledAggregate

export interface CompiledAggregate {
  readonly kind: 'aggregate'
  readonly weight: number
  readonly aggregators: readonly AggregatorSpec[]
  readonly evaluate: Evaluate
  /** The order in which it needs to see the fewest inputs. */
  readonly preferredOrder: EventOrder | undefined
}

/** The interpolations of a tag expression, to be computed before events can be selected. */
export interface DynamicTags {
  /** In order of appearance. */
  readonly evaluates: readonly Evaluate[]
  /** The expression with a tag in place of each interpolation. */
  fill(values: readonly Value[]): TagExpr | Failure
}

export interface AggregatorSpec {
  readonly op: AggregatorOp
  /** Of the argument, for each input. */
  readonly evaluate: Evaluate
}
