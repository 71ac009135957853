import type { AqlText, Query, TagExpr } from './ast.js'
import { AqlSyntaxError, AqlTooComplexError, LiteralFault } from './errors.js'
import { parse, SyntaxError as GrammarError, type Expectation } from './grammar.js'
import { DEFAULT_AQL_LIMITS, type AqlLimits } from './limits.js'

/** More alternatives than this help nobody. */
const MAX_EXPECTED = 12

/** All with which an expression can begin; the first of them stands nowhere else. */
const EXPRESSION_STARTS = [
  ...['"NULL"', '"TRUE"', '"FALSE"', '"("', '"{"', '"CASE"', '"FROM"', 'number', 'string', 'array', 'interpolation'],
  ...['name', 'function name', '"SUM("', '"PRODUCT("', '"MIN("', '"MAX("', '"FIRST("', '"LAST("'],
  ...['"KEY("', '"TIME("', '"TAGS("', '"APP("'],
] as const

/** @throws AqlSyntaxError, AqlTooComplexError */
export function parseText(text: string, limits: AqlLimits = DEFAULT_AQL_LIMITS): AqlText {
  checkLength(text, limits)
  return guard(text, () => parse(text, { startRule: 'Text', limits }))
}

/** Parses a tag expression that stands alone. @throws AqlSyntaxError, AqlTooComplexError */
export function parseTagExpr(text: string, limits: AqlLimits = DEFAULT_AQL_LIMITS): TagExpr {
  checkLength(text, limits)
  return guard(text, () => parse(text, { startRule: 'TagText', limits }))
}

function checkLength(text: string, limits: AqlLimits): void {
  const bytes = text.length > limits.maxTextBytes ? text.length : Buffer.byteLength(text)
  if (bytes > limits.maxTextBytes) {
    throw new AqlTooComplexError(
      `the query is too complex: its text is longer than ${String(limits.maxTextBytes)} bytes`,
    )
  }
}

function guard<T>(text: string, parseIt: () => T): T {
  try {
    return parseIt()
  } catch (error) {
    if (error instanceof GrammarError) {
      throw new AqlSyntaxError(expected(error.expected), text, error.location.start.offset)
    }
    if (error instanceof LiteralFault) throw new AqlSyntaxError(error.message, text, error.offset)
    // The nesting limit comes first by far; this is the net below it.
    if (error instanceof RangeError) throw new AqlTooComplexError('the query is too complex: nested too deeply')
    throw error
  }
}

function expected(expectations: readonly Expectation[] | null): string {
  const names = grouped(new Set((expectations ?? []).flatMap((expectation) => describe(expectation))))
  const shown = names.length > MAX_EXPECTED ? [...names.slice(0, MAX_EXPECTED - 1), 'others'] : names
  const last = shown.pop() ?? 'something else'
  return `expected ${shown.length === 0 ? last : `${shown.join(', ')} or ${last}`}`
}

/** In alphabetical order. White space, which may stand nearly everywhere, is worth a word only where it alone may stand. */
function grouped(names: Set<string>): string[] {
  if (names.size > 1) names.delete('white space')
  if (names.has(EXPRESSION_STARTS[0])) {
    for (const start of EXPRESSION_STARTS) names.delete(start)
    names.add('expression')
  }
  return [...names].sort()
}

function describe(expectation: Expectation): string[] {
  switch (expectation.type) {
    case 'end':
      return ['end of text']
    case 'literal':
      return [`"${expectation.text ?? ''}"`]
    case 'other':
      return [expectation.description ?? '']
    default:
      return []
  }
}

/** The query of a text, without its pragmas and features. @throws AqlSyntaxError, AqlTooComplexError */
export function parseQuery(text: string): Query {
  return parseText(text).query
}
