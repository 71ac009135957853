// Writes aql/grammar.js and its types from aql/grammar.peggy. Called by build.mjs.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import peggy from 'peggy'

const path = (name) => fileURLToPath(new URL(`../aql/${name}`, import.meta.url))

const types = `import type { AqlText, TagExpr } from './ast.js'
import type { AqlLimits } from './limits.js'

export interface Expectation {
  readonly type: 'any' | 'class' | 'end' | 'literal' | 'other' | 'not' | 'and'
  readonly description?: string
  readonly text?: string
}

/** Thrown by {@link parse} when the text does not follow the grammar. */
export class SyntaxError extends globalThis.SyntaxError {
  readonly expected: readonly Expectation[] | null
  readonly location: { readonly start: { readonly offset: number }; readonly end: { readonly offset: number } }
}

export interface ParseOptions<Rule extends 'Text' | 'TagText'> {
  readonly startRule: Rule
  readonly limits: AqlLimits
}

export function parse<Rule extends 'Text' | 'TagText'>(
  input: string,
  options: ParseOptions<Rule>,
): Rule extends 'Text' ? AqlText : TagExpr
`

const parser = peggy.generate(readFileSync(path('grammar.peggy'), 'utf8'), {
  allowedStartRules: ['Text', 'TagText'],
  format: 'es',
  output: 'source',
})
writeFileSync(path('grammar.js'), parser)
writeFileSync(path('grammar.d.ts'), types)
