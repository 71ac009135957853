import type { EventOrder } from '../core/index.js'
import type { Item, Operation, Query, Source, TagExpr } from './ast.js'
import { AggregatorTable, type AggregatorSpec } from './aggregator-table.js'
import { ExprCompiler, type Evaluate } from './compile-expr.js'
import { childrenOf } from './features.js'
import { DynamicTags } from './dynamic-tags.js'
import { StaticScope } from './static-scope.js'

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

export function compileQuery(query: Query): CompiledQuery {
  return new QueryCompiler().compile(query, undefined)
}

/** Compiles one text; numbers its queries. */
class QueryCompiler {
  #queries = 0

  compile(query: Query, outer: StaticScope | undefined): CompiledQuery {
    const id = this.#queries++
    const source = this.#source(query.source, outer ?? new StaticScope(undefined, false))
    const scope = new StaticScope(outer, true)
    const operations = query.operations.map((operation) => this.#operation(operation, scope))
    const demanded = query.source.kind === 'events' ? query.source.order : undefined
    const preferred = operations.find(hasPreference)?.preferredOrder
    return { id, source, operations, preferredOrder: demanded ?? preferred }
  }

  /** @param scope what the surroundings of the query can see */
  #source(source: Source, scope: StaticScope): CompiledSource {
    if (source.kind === 'array') return { kind: 'array', items: this.#items(source.items, scope) }
    const compiler = this.#exprCompiler(scope)
    return { kind: 'events', tags: source.tags, dynamic: DynamicTags.compile(source.tags, compiler) }
  }

  #operation(operation: Operation, scope: StaticScope): CompiledOperation {
    const weight = weigh(operation)
    switch (operation.kind) {
      case 'filter':
        return { kind: 'filter', evaluate: this.#exprCompiler(scope).compile(operation.expr), weight }
      case 'select': {
        const items = this.#items(operation.items, scope)
        scope.replaceInput()
        return { kind: 'select', items, weight }
      }
      case 'limit':
        return { kind: 'limit', count: Number(operation.count), weight }
      case 'let': {
        const evaluate = this.#exprCompiler(scope).compile(operation.expr)
        if (operation.name !== '_') return { kind: 'let', slot: scope.bind(operation.name), evaluate, weight }
        scope.replaceInput()
        return { kind: 'replace', evaluate, weight }
      }
      case 'aggregate':
        return this.#aggregate(operation, scope, weight)
    }
  }

  #aggregate(
    operation: Operation & { readonly kind: 'aggregate' },
    scope: StaticScope,
    weight: number,
  ): CompiledAggregate {
    const table = new AggregatorTable(this.#exprCompiler(scope))
    // The expression itself sees neither input nor bindings of the inputs, only what surrounds the query.
    const result = new StaticScope(scope.parent, false)
    const evaluate = this.#exprCompiler(result, table).compile(operation.expr)
    scope.forgetBindings()
    scope.replaceInput()
    return { kind: 'aggregate', aggregators: table.specs, evaluate, preferredOrder: table.preferredOrder, weight }
  }

  #items(items: readonly Item[], scope: StaticScope): CompiledItem[] {
    const compiler = this.#exprCompiler(scope)
    return items.map(({ spread, expr }) => ({
      spread,
      evaluate: compiler.compile(expr),
      keepsMeta: spread && expr.kind === 'subQuery',
    }))
  }

  #exprCompiler(scope: StaticScope, table?: AggregatorTable): ExprCompiler {
    return new ExprCompiler(scope, table, (query, inner) => this.compile(query, inner))
  }
}

function hasPreference(operation: CompiledOperation): operation is CompiledAggregate {
  return operation.kind === 'aggregate' && operation.preferredOrder !== undefined
}

function weigh(operation: Operation): number {
  if (operation.kind === 'limit') return 1
  const exprs = operation.kind === 'select' ? operation.items.map((item) => item.expr) : [operation.expr]
  let weight = 1
  for (let expr = exprs.pop(); expr !== undefined; expr = exprs.pop()) {
    weight += 1
    for (const child of childrenOf(expr)) exprs.push(child)
  }
  return weight
}
