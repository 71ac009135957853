import type { AppId, EventOrder } from '../core/index.js'

/** Where a node stands in the text: UTF-16 offsets, `end` exclusive. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** A whole text: pragmas, enabled features, query. */
export interface AqlText {
  readonly pragmas: readonly Pragma[]
  readonly features: readonly string[]
  readonly query: Query
}

/** `PRAGMA name := value`, or its form over several lines. */
export interface Pragma {
  readonly name: string
  readonly value: string
  /** Of the value alone. */
  readonly span: Span
}

/** `FROM source operation*`. */
export interface Query {
  readonly kind: 'query'
  readonly source: Source
  readonly operations: readonly Operation[]
  readonly span: Span
}

/** What a query reads: stored events that match, or the elements of an array that stands in the query. */
export type Source =
  | { readonly kind: 'events'; readonly tags: TagExpr; readonly order: EventOrder | undefined }
  | { readonly kind: 'array'; readonly items: readonly Item[] }

/** A step of the chain behind the source. */
export type Operation =
  | { readonly kind: 'filter'; readonly expr: Expr; readonly span: Span }
  | { readonly kind: 'select'; readonly items: readonly Item[]; readonly span: Span }
  | { readonly kind: 'aggregate'; readonly expr: Expr; readonly span: Span }
  | { readonly kind: 'limit'; readonly count: bigint; readonly span: Span }
  | { readonly kind: 'let'; readonly name: string; readonly expr: Expr; readonly span: Span }

/** An element of a list, with or without `...` in front. */
export interface Item {
  readonly spread: boolean
  readonly expr: Expr
  readonly span: Span
}

/** How a time or a key is compared in a tag expression. */
export type RangeOp = '<' | '<=' | '>' | '>='

/** A moment in microseconds since 1970; earlier ones are negative. */
export interface TimestampBound {
  readonly kind: 'timestamp'
  readonly micros: bigint
}

/** `5D ago`: counted from the time of the query. */
export interface DurationBound {
  readonly kind: 'ago'
  readonly amount: bigint
  readonly unit: DurationUnit
}

/** Seconds, minutes, hours, days, weeks, mean months, mean years. */
export type DurationUnit = 's' | 'm' | 'h' | 'D' | 'W' | 'M' | 'Y'

/** A lamport time and, if written, a stream. */
export interface EventKeyBound {
  readonly kind: 'key'
  readonly lamport: bigint
  readonly stream: string | undefined
}

/** What may follow `FROM`. Chains of one operator are flat. */
export type TagExpr =
  | { readonly kind: 'or'; readonly terms: readonly TagExpr[]; readonly span: Span }
  | { readonly kind: 'and'; readonly terms: readonly TagExpr[]; readonly span: Span }
  | TagAtom

/** A tag expression without `&` and `|`. */
export type TagAtom =
  /** In NFC. */
  | { readonly kind: 'tag'; readonly tag: string; readonly span: Span }
  | { readonly kind: 'interpolation'; readonly parts: readonly Part[]; readonly span: Span }
  | { readonly kind: 'allEvents'; readonly span: Span }
  | { readonly kind: 'isLocal'; readonly span: Span }
  | { readonly kind: 'appId'; readonly appId: AppId; readonly span: Span }
  | { readonly kind: 'time'; readonly op: RangeOp; readonly bound: TimestampBound | DurationBound; readonly span: Span }
  | { readonly kind: 'key'; readonly op: RangeOp; readonly bound: EventKeyBound; readonly span: Span }

/** A piece of an interpolation: literal text or an expression. */
export type Part = string | Expr

/** Operators by their ASCII form, whichever form was written; `|` is or, `~` is xor. */
export type BinaryOp = '??' | '|' | '~' | '&' | '=' | '!=' | '<' | '<=' | '>' | '>=' | '+' | '-' | '*' | '/' | '%' | '^'

/** Functions that stand inside `AGGREGATE` only. */
export type AggregatorOp = 'SUM' | 'PRODUCT' | 'MIN' | 'MAX' | 'FIRST' | 'LAST'

/** Functions of what the node knows about the event behind a variable. */
export type MetaFunction = 'KEY' | 'TIME' | 'TAGS' | 'APP'

/** A step from a value to a part of it; also the key of an object's member. */
export type Index =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'natural'; readonly value: bigint }
  | { readonly kind: 'computed'; readonly expr: Expr }

/** A member of an object expression. */
export interface Member {
  readonly key: Index
  readonly value: Expr
}

/** One `condition => result` of a `CASE`. */
export interface CaseBranch {
  readonly condition: Expr
  readonly result: Expr
}

/** One more operand of a chain and the operator before it. */
export interface Link {
  readonly op: BinaryOp
  readonly operand: Expr
}

/** An expression; it is evaluated once for each input. */
export type Expr =
  | { readonly kind: 'natural'; readonly value: bigint; readonly span: Span }
  /** `text` is the literal as it was written. */
  | { readonly kind: 'decimal'; readonly value: number; readonly text: string; readonly span: Span }
  | { readonly kind: 'string'; readonly value: string; readonly span: Span }
  | { readonly kind: 'constant'; readonly value: null | boolean; readonly span: Span }
  /** `name` is in NFC. */
  | { readonly kind: 'variable'; readonly name: string; readonly span: Span }
  | { readonly kind: 'index'; readonly head: Expr; readonly path: readonly Index[]; readonly span: Span }
  | { readonly kind: 'interpolation'; readonly parts: readonly Part[]; readonly span: Span }
  | { readonly kind: 'object'; readonly members: readonly Member[]; readonly span: Span }
  | { readonly kind: 'array'; readonly items: readonly Item[]; readonly span: Span }
  | { readonly kind: 'cases'; readonly branches: readonly CaseBranch[]; readonly span: Span }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expr[]; readonly span: Span }
  | { readonly kind: 'not'; readonly operand: Expr; readonly span: Span }
  /** Operators of one level of precedence, applied from left to right. */
  | { readonly kind: 'chain'; readonly first: Expr; readonly rest: readonly Link[]; readonly span: Span }
  | { readonly kind: 'aggregator'; readonly op: AggregatorOp; readonly arg: Expr; readonly span: Span }
  | { readonly kind: 'subQuery'; readonly query: Query; readonly span: Span }
  | { readonly kind: 'meta'; readonly fn: MetaFunction; readonly name: string; readonly span: Span }
  | { readonly kind: 'keyLiteral'; readonly key: EventKeyBound; readonly span: Span }
  | { readonly kind: 'timeLiteral'; readonly micros: bigint; readonly span: Span }
