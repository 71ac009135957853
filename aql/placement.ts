import type { Expr, Part, Query, TagExpr } from './ast.js'
import { AqlSyntaxError } from './errors.js'
import { childrenOf } from './features.js'

/** Where an expression stands: aggregators belong into `AGGREGATE`, the current value everywhere else. */
type Place = 'plain' | 'aggregate'

/**
 * Checks that aggregators stand only in `AGGREGATE` and not inside each other, and that `_` is not used beside them.
 *
 * @throws AqlSyntaxError
 */
export function checkPlacement(query: Query, text: string): void {
  new PlacementChecker(text).query(query, 'plain')
}

class PlacementChecker {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  /** @param place of the query as an expression; its source array belongs there too */
  query(query: Query, place: Place): void {
    if (query.source.kind === 'events') this.#tags(query.source.tags)
    else for (const item of query.source.items) this.#expr(item.expr, place)
    for (const operation of query.operations) {
      if (operation.kind === 'select') for (const item of operation.items) this.#expr(item.expr, 'plain')
      else if (operation.kind !== 'limit') {
        this.#expr(operation.expr, operation.kind === 'aggregate' ? 'aggregate' : 'plain')
      }
    }
  }

  #tags(expr: TagExpr): void {
    if (expr.kind === 'or' || expr.kind === 'and') for (const term of expr.terms) this.#tags(term)
    else if (expr.kind === 'interpolation') this.#parts(expr.parts)
  }

  #parts(parts: readonly Part[]): void {
    for (const part of parts) if (typeof part !== 'string') this.#expr(part, 'plain')
  }

  #expr(expr: Expr, place: Place): void {
    if (expr.kind === 'subQuery') {
      this.query(expr.query, place)
      return
    }
    if (expr.kind === 'aggregator') {
      if (place !== 'aggregate') {
        this.#fail('aggregators are only valid in AGGREGATE, and not inside each other', expr.span.start)
      }
      this.#expr(expr.arg, 'plain')
      return
    }
    if (place === 'aggregate' && (expr.kind === 'variable' || expr.kind === 'meta') && expr.name === '_') {
      this.#fail('the current value _ is not available in AGGREGATE outside of aggregators', expr.span.start)
    }
    for (const child of childrenOf(expr)) this.#expr(child, place)
  }

  #fail(reason: string, offset: number): never {
    throw new AqlSyntaxError(reason, this.#text, offset)
  }
}
