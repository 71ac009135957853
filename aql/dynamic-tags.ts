import type { TagExpr } from './ast.js'
import type { Evaluate, ExprCompiler } from './compile-expr.js'
import type { Failure, Value } from './value.js'
import { failure } from './value.js'

/** The interpolations of a tag expression, to be computed before events can be selected. */
export class DynamicTags {
  readonly #expr: TagExpr
  /** In order of appearance. */
  readonly evaluates: readonly Evaluate[]

  private constructor(expr: TagExpr, evaluates: readonly Evaluate[]) {
    this.#expr = expr
    this.evaluates = evaluates
  }

  /** @returns nothing when all tags are written down */
  static compile(expr: TagExpr, compiler: ExprCompiler): DynamicTags | undefined {
    const evaluates: Evaluate[] = []
    const collect = (term: TagExpr): void => {
      if (term.kind === 'or' || term.kind === 'and') term.terms.forEach(collect)
      else if (term.kind === 'interpolation') evaluates.push(compiler.interpolation(term.parts))
    }
    collect(expr)
    return evaluates.length === 0 ? undefined : new DynamicTags(expr, evaluates)
  }

  /** The expression with a tag in place of each interpolation. */
  fill(values: readonly Value[]): TagExpr | Failure {
    const tags = values.map((value) => (value.kind === 'string' ? value.data : ''))
    if (tags.includes('')) return failure('empty-tag', 'an interpolated tag is empty')
    let next = 0
    const replace = (term: TagExpr): TagExpr => {
      if (term.kind === 'or' || term.kind === 'and') return { ...term, terms: term.terms.map(replace) }
      if (term.kind !== 'interpolation') return term
      return { kind: 'tag', tag: (tags[next++] ?? '').normalize('NFC'), span: term.span }
    }
    return replace(this.#expr)
  }
}
