import type { Part, TagExpr } from './ast.js'
import type { DynamicTags, Evaluate } from './compiled.js'
import { failure, type Failure, type Value } from './value.js'

/** @returns nothing when all tags are written down */
export function compileDynamicTags(
  expr: TagExpr,
  compileParts: (parts: readonly Part[]) => Evaluate,
): DynamicTags | undefined {
  const evaluates: Evaluate[] = []
  const collect = (term: TagExpr): void => {
    if (term.kind === 'or' || term.kind === 'and') term.terms.forEach(collect)
    else if (term.kind === 'interpolation') evaluates.push(compileParts(term.parts))
  }
  collect(expr)
  return evaluates.length === 0 ? undefined : { evaluates, fill: (values) => fillTags(expr, values) }
}

function fillTags(expr: TagExpr, values: readonly Value[]): TagExpr | Failure {
  const tags = values.map((value) => (value.kind === 'string' ? value.data : ''))
  if (tags.includes('')) return failure('empty-tag', 'an interpolated tag is empty')
  let next = 0
  const replace = (term: TagExpr): TagExpr => {
    if (term.kind === 'or' || term.kind === 'and') return { ...term, terms: term.terms.map(replace) }
    if (term.kind !== 'interpolation') return term
    return { kind: 'tag', tag: (tags[next++] ?? '').normalize('NFC'), span: term.span }
  }
  return replace(expr)
}
