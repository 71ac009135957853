import type { Item, Operation, Query, Source } from './ast.js'
import { AggregatorTable } from './aggregator-table.js'
import { ExprCompiler } from './compile-expr.js'
import type { CompiledAggregate, CompiledItem, CompiledOperation, CompiledQuery, CompiledSource } from './compiled.js'
import { childrenOf } from './features.js'
import { compileDynamicTags } from './dynamic-tags.js'
import { StaticScope } from './static-scope.js'

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
    return {
      kind: 'events',
      tags: source.tags,
      dynamic: compileDynamicTags(source.tags, (parts) => compiler.interpolation(parts)),
    }
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
    const compiler = this.#exprCompiler(scope)
    const table = new AggregatorTable((arg) => compiler.compile(arg))
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
