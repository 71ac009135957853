import { MillraceError, type TagSelection } from '../core/index.js'
import type { TagAtom, TagExpr } from './ast.js'
import { AqlSyntaxError, AqlTooComplexError } from './errors.js'
import { parseTagExpr } from './parse.js'
import { drawPosition, locate } from './position.js'
import { toSelection } from './selection.js'

/** A route's tag expression cannot be used. Offset in UTF-16 units, line and column from 1. */
export class RouteError extends MillraceError {
  readonly code = 'ERR_ROUTE_INVALID'
  readonly offset: number
  readonly line: number
  readonly column: number
  /** What is wrong, in one line. */
  readonly reason: string
  /** What to write instead. */
  readonly mend: string

  constructor(text: string, offset: number, reason: string, mend: string, options?: ErrorOptions) {
    super(`${drawPosition(reason, text, offset)}\n${mend}`, options)
    const { line, column } = locate(text, offset)
    this.offset = offset
    this.line = line
    this.column = column
    this.reason = reason
    this.mend = mend
  }
}

const GENERAL_MEND =
  "write tags in quotes, allEvents or appId(com.example.app), combined with &, | and parentheses, such as 'a' & 'b' | appId(com.example.app)"

/**
 * Reads the tag expression of a route. Routing sees only tags and app id of an event, so nothing else may be asked for.
 *
 * @throws RouteError
 */
export function parseRoute(text: string): TagSelection {
  const expr = parseAll(text)
  checkAtoms(expr, text)
  return toSelection(expr, { appId: '', nowMicros: 0n })
}

function parseAll(text: string): TagExpr {
  try {
    return parseTagExpr(text)
  } catch (error) {
    if (error instanceof AqlSyntaxError) {
      const mend = text.trim() === '' ? 'write allEvents to route every event' : GENERAL_MEND
      throw new RouteError(text, error.offset, error.reason, mend, { cause: error })
    }
    if (error instanceof AqlTooComplexError) {
      throw new RouteError(text, 0, error.message, 'split the route into several', { cause: error })
    }
    throw error
  }
}

function checkAtoms(expr: TagExpr, text: string): void {
  if (expr.kind === 'or' || expr.kind === 'and') {
    for (const term of expr.terms) checkAtoms(term, text)
    return
  }
  const fault = faultOf(expr)
  if (fault !== undefined) throw new RouteError(text, expr.span.start, fault.reason, fault.mend)
}

function faultOf(atom: TagAtom): { readonly reason: string; readonly mend: string } | undefined {
  switch (atom.kind) {
    case 'tag':
    case 'allEvents':
      return undefined
    case 'appId':
      return atom.appId === 'me'
        ? { reason: 'appId(me) has no meaning in a route', mend: 'write the app id itself' }
        : undefined
    case 'isLocal':
      return { reason: 'isLocal cannot be used in a route', mend: 'leave it out: only events of this node are routed' }
    case 'time':
    case 'key':
      return { reason: 'ranges cannot be used in a route', mend: 'leave it out: a route sees only tags and app id' }
    case 'interpolation':
      return { reason: 'interpolation cannot be used in a route', mend: "write the tag in quotes, such as 'tag'" }
  }
}
