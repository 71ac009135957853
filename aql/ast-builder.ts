import type { EventOrder } from '../core/index.js'
import type {
  AggregatorOp,
  AqlText,
  BinaryOp,
  CaseBranch,
  DurationBound,
  DurationUnit,
  EventKeyBound,
  Expr,
  Index,
  Item,
  Link,
  Member,
  MetaFunction,
  Operation,
  Part,
  Pragma,
  Query,
  RangeOp,
  Source,
  Span,
  TagExpr,
  TimestampBound,
} from './ast.js'
import { AqlTooComplexError, LiteralFault } from './errors.js'
import type { AqlLimits } from './limits.js'
import { parseNatural, parseStreamLiteral, timestampMicros } from './literals.js'

/** Operators from the weakest level to the strongest; all associate to the left. */
export const PRECEDENCE: Readonly<Record<BinaryOp, number>> = {
  '??': 0,
  '|': 1,
  '~': 2,
  '&': 3,
  '=': 4,
  '!=': 4,
  '<': 5,
  '<=': 5,
  '>': 5,
  '>=': 5,
  '+': 6,
  '-': 6,
  '*': 7,
  '/': 7,
  '%': 7,
  '^': 8,
}

/**
 * Makes the nodes of one text for the grammar, checks literals, and keeps count of nesting.
 *
 * @public used by the generated parser
 */
export class AstBuilder {
  readonly #limits: AqlLimits
  #depth = 0

  constructor(limits: AqlLimits) {
    this.#limits = limits
  }

  /** One level down. The counterpart is {@link leave}, also when what is inside does not match. */
  enter(_offset: number): true {
    this.#depth += 1
    this.#checkDepth(0)
    return true
  }

  /** One level up again. @returns whether something was found inside */
  leave(inside: unknown): boolean {
    this.#depth -= 1
    return inside !== null
  }

  #checkDepth(more: number): void {
    if (this.#depth + more > this.#limits.maxNesting) {
      throw new AqlTooComplexError(`the query is too complex: nested deeper than ${String(this.#limits.maxNesting)}`)
    }
  }

  #checkOperands(count: number): void {
    if (count > this.#limits.maxOperands) {
      throw new AqlTooComplexError(
        `the query is too complex: ${String(count)} operands in one chain, allowed are ${String(this.#limits.maxOperands)}`,
      )
    }
  }

  text(pragmas: readonly Pragma[], features: readonly string[], query: Query): AqlText {
    return { pragmas, features, query }
  }

  pragma(name: string, value: { readonly value: string; readonly span: Span }): Pragma {
    return { name, value: value.value, span: value.span }
  }

  query(source: Source, operations: readonly Operation[], span: Span): Query {
    return { kind: 'query', source, operations, span }
  }

  arraySource(items: readonly Item[]): Source {
    return { kind: 'array', items }
  }

  eventSource(tags: TagExpr, order: EventOrder | null): Source {
    return { kind: 'events', tags, order: order ?? undefined }
  }

  filter(expr: Expr, span: Span): Operation {
    return { kind: 'filter', expr, span }
  }

  select(items: readonly Item[], span: Span): Operation {
    this.#checkOperands(items.length)
    return { kind: 'select', items, span }
  }

  aggregate(expr: Expr, span: Span): Operation {
    return { kind: 'aggregate', expr, span }
  }

  limit(digits: string, span: Span): Operation {
    return { kind: 'limit', count: this.#natural(digits, span), span }
  }

  binding(name: string, expr: Expr, span: Span): Operation {
    return { kind: 'let', name: name.normalize('NFC'), expr, span }
  }

  item(spread: boolean, expr: Expr, span: Span): Item {
    return { spread, expr, span }
  }

  tagChain(kind: 'or' | 'and', terms: readonly TagExpr[], at: () => Span): TagExpr {
    const [only] = terms
    if (only !== undefined && terms.length === 1) return only
    this.#checkOperands(terms.length)
    return { kind, terms, span: at() }
  }

  tag(tag: string, span: Span): TagExpr {
    return { kind: 'tag', tag: tag.normalize('NFC'), span }
  }

  tagInterpolation(parts: readonly Part[], span: Span): TagExpr {
    return { kind: 'interpolation', parts: joinTexts(parts), span }
  }

  allEvents(span: Span): TagExpr {
    return { kind: 'allEvents', span }
  }

  isLocal(span: Span): TagExpr {
    return { kind: 'isLocal', span }
  }

  appId(appId: string, span: Span): TagExpr {
    return { kind: 'appId', appId, span }
  }

  range(op: RangeOp, bound: TimestampBound | DurationBound | EventKeyBound, span: Span): TagExpr {
    return bound.kind === 'key' ? { kind: 'key', op, bound, span } : { kind: 'time', op, bound, span }
  }

  not(prefixes: readonly number[], operand: Expr): Expr {
    this.#checkDepth(prefixes.length)
    return prefixes.reduceRight<Expr>(
      (inner, start) => ({ kind: 'not', operand: inner, span: { start, end: inner.span.end } }),
      operand,
    )
  }

  /** Builds precedence over a flat list of operands: one flat node per run of operators of the same level. */
  chain(first: Expr, rest: readonly Link[], at: () => Span): Expr {
    if (rest.length === 0) return first
    this.#checkOperands(rest.length + 1)
    return buildChain(first, rest, at())
  }

  /** A literal of digits only is a natural if it fits, everything else a decimal. */
  number(text: string, span: Span): Expr {
    const natural = /^\d+$/.test(text) ? parseNatural(text) : undefined
    if (natural !== undefined) return { kind: 'natural', value: natural, span }
    const value = Number(text)
    if (!Number.isFinite(value)) throw new LiteralFault('the number is out of range', span.start)
    return { kind: 'decimal', value, text, span }
  }

  string(value: string, span: Span): Expr {
    return { kind: 'string', value, span }
  }

  interpolation(parts: readonly Part[], span: Span): Expr {
    return { kind: 'interpolation', parts: joinTexts(parts), span }
  }

  codePoint(digits: string, span: Span): string {
    const value = parseInt(digits, 16)
    if (value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) {
      throw new LiteralFault(`U+${digits} is no Unicode scalar value`, span.start)
    }
    return String.fromCodePoint(value)
  }

  constant(value: null | boolean, span: Span): Expr {
    return { kind: 'constant', value, span }
  }

  variable(name: string, span: Span): Expr {
    return { kind: 'variable', name: name.normalize('NFC'), span }
  }

  index(head: Expr, path: readonly Index[], at: () => Span): Expr {
    return path.length === 0 ? head : { kind: 'index', head, path, span: at() }
  }

  nameIndex(name: string): Index {
    return { kind: 'name', name }
  }

  naturalIndex(digits: string, span: Span): Index {
    return { kind: 'natural', value: this.#natural(digits, span) }
  }

  stringIndex(name: string): Index {
    return { kind: 'name', name }
  }

  computedIndex(expr: Expr): Index {
    return { kind: 'computed', expr }
  }

  object(members: readonly Member[], span: Span): Expr {
    return { kind: 'object', members, span }
  }

  array(items: readonly Item[], span: Span): Expr {
    return { kind: 'array', items, span }
  }

  cases(branches: readonly CaseBranch[], span: Span): Expr {
    return { kind: 'cases', branches, span }
  }

  call(name: string, args: readonly Expr[], span: Span): Expr {
    return { kind: 'call', name, args, span }
  }

  aggregator(op: AggregatorOp, arg: Expr, span: Span): Expr {
    return { kind: 'aggregator', op, arg, span }
  }

  subQuery(query: Query, span: Span): Expr {
    return { kind: 'subQuery', query, span }
  }

  meta(fn: MetaFunction, name: string, span: Span): Expr {
    return { kind: 'meta', fn, name: name.normalize('NFC'), span }
  }

  keyLiteral(key: EventKeyBound, span: Span): Expr {
    return { kind: 'keyLiteral', key, span }
  }

  timeLiteral(bound: TimestampBound, span: Span): Expr {
    return { kind: 'timeLiteral', micros: bound.micros, span }
  }

  eventKey(digits: string, stream: string | undefined, span: Span): EventKeyBound {
    const lamport = this.#natural(digits, span)
    if (stream === undefined) return { kind: 'key', lamport, stream: undefined }
    const parsed = parseStreamLiteral(stream)
    if (parsed === undefined) throw new LiteralFault(`there can be no stream ${stream}`, span.start)
    return { kind: 'key', lamport, stream: parsed }
  }

  timestamp(date: string, time: string, zone: string, span: Span): TimestampBound {
    const month = Number(date.slice(5, 7))
    const micros = month >= 1 && month <= 12 ? timestampMicros(date, time, zone) : undefined
    if (micros === undefined) throw new LiteralFault(`the calendar has no ${date}`, span.start)
    return { kind: 'timestamp', micros }
  }

  duration(digits: string, unit: DurationUnit, span: Span): DurationBound {
    return { kind: 'ago', amount: this.#natural(digits, span), unit }
  }

  #natural(digits: string, span: Span): bigint {
    const value = parseNatural(digits)
    if (value === undefined) throw new LiteralFault('the number needs more than 64 bits', span.start)
    return value
  }
}

/** Neighbouring literal texts of an interpolation become one. */
function joinTexts(parts: readonly Part[]): readonly Part[] {
  const joined: Part[] = []
  for (const part of parts) {
    const last = joined.at(-1)
    if (typeof part === 'string' && typeof last === 'string') joined[joined.length - 1] = last + part
    else joined.push(part)
  }
  return joined
}

/** Splits at the weakest operators. Between them stand only stronger ones, so that recursion goes nine levels deep at most. */
function buildChain(first: Expr, rest: readonly Link[], span: Span): Expr {
  if (rest.length === 0) return first
  let weakest = Infinity
  for (const { op } of rest) weakest = Math.min(weakest, PRECEDENCE[op])
  const splits: { readonly link: Link; readonly at: number }[] = []
  for (const [at, link] of rest.entries()) if (PRECEDENCE[link.op] === weakest) splits.push({ link, at })
  if (splits.length === rest.length) return { kind: 'chain', first, rest, span }
  const operand = (head: Expr, from: number, to: number | undefined) => {
    const inner = rest.slice(from, to)
    return buildChain(head, inner, spanOf(head, inner))
  }
  const links = splits.map(({ link, at }, nth): Link => ({
    op: link.op,
    operand: operand(link.operand, at + 1, splits[nth + 1]?.at),
  }))
  return { kind: 'chain', first: operand(first, 0, splits[0]?.at), rest: links, span }
}

function spanOf(first: Expr, rest: readonly Link[]): Span {
  return { start: first.span.start, end: (rest.at(-1)?.operand ?? first).span.end }
}
