import fc from 'fast-check'
import type { Expr, Index, Item, Operation, Query, TagExpr } from '../../aql/index.js'

const span = { start: 0, end: 0 }

const name = fc.constantFrom('x', 'y', 'abc', 'xY_1', 'é', 'Éa', 'end', 'from', 'a日')
const variableName = fc.oneof(fc.constant('_'), name)
const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 8 }),
  fc.constantFrom('', "'", '"', `'"`, '`{', 'a\nb', '--'),
)
const naturals = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const micros = fc.bigInt({
  min: BigInt(Date.UTC(0, 0, 1) - 1900 * 31_556_952_000) * 1000n,
  max: BigInt(Date.UTC(9999, 0, 1)) * 1000n,
})
const stream = fc.option(
  fc
    .tuple(fc.constantFrom('.'.repeat(43), 'a'.repeat(42) + 'U'), naturals)
    .map(([node, number]) => `${node}-${String(number)}`),
  { nil: undefined },
)
const eventKey = fc.record({ kind: fc.constant('key' as const), lamport: naturals, stream })

const tag = text.filter((value) => value !== '').map((value) => value.normalize('NFC'))
const rangeOp = fc.constantFrom('<', '<=', '>', '>=')

const LEVELS = [
  ['??'],
  ['|'],
  ['~'],
  ['&'],
  ['=', '!='],
  ['<', '<=', '>', '>='],
  ['+', '-'],
  ['*', '/', '%'],
  ['^'],
] as const

/** Syntax trees as the parser makes them, all spans 0. */
export const arbitraryTrees = fc.letrec<{
  expr: Expr
  tags: TagExpr
  query: Query
  item: Item
  index: Index
  parts: readonly (string | Expr)[]
}>((tie) => ({
  parts: fc
    .array(fc.oneof(text, tie('expr')), { maxLength: 3 })
    .map((parts) =>
      parts.filter((part, at) => part !== '' && !(typeof part === 'string' && typeof parts[at - 1] === 'string')),
    ),
  item: fc.record({ spread: fc.boolean(), expr: tie('expr'), span: fc.constant(span) }),
  index: fc.oneof(
    fc.record({ kind: fc.constant('name' as const), name: fc.oneof(name, text) }),
    fc.record({ kind: fc.constant('natural' as const), value: naturals }),
    fc.record({ kind: fc.constant('computed' as const), expr: tie('expr') }),
  ),
  tags: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.record({ kind: fc.constant('tag' as const), tag, span: fc.constant(span) }),
    fc.constantFrom<TagExpr>(
      { kind: 'allEvents', span },
      { kind: 'isLocal', span },
      { kind: 'appId', appId: 'com.example-1.x', span },
    ),
    fc.record({
      kind: fc.constant('time' as const),
      op: rangeOp,
      bound: fc.oneof(
        fc.record({ kind: fc.constant('timestamp' as const), micros }),
        fc.record({
          kind: fc.constant('ago' as const),
          amount: naturals,
          unit: fc.constantFrom('s', 'm', 'h', 'D', 'W', 'M', 'Y'),
        }),
      ),
      span: fc.constant(span),
    }),
    fc.record({ kind: fc.constant('key' as const), op: rangeOp, bound: eventKey, span: fc.constant(span) }),
    fc.record({ kind: fc.constant('interpolation' as const), parts: tie('parts'), span: fc.constant(span) }),
    fc.record({
      kind: fc.constantFrom('or', 'and'),
      terms: fc.array(tie('tags'), { minLength: 2, maxLength: 3 }),
      span: fc.constant(span),
    }) as fc.Arbitrary<TagExpr>,
  ),
  query: fc.record({
    kind: fc.constant('query' as const),
    source: fc.oneof(
      fc.record({
        kind: fc.constant('events' as const),
        tags: tie('tags'),
        order: fc.constantFrom('asc', 'desc', 'stream-asc', undefined),
      }),
      fc.record({ kind: fc.constant('array' as const), items: fc.array(tie('item'), { maxLength: 3 }) }),
    ),
    operations: fc.array(
      fc.oneof(
        fc.record({ kind: fc.constantFrom('filter', 'aggregate'), expr: tie('expr'), span: fc.constant(span) }),
        fc.record({ kind: fc.constant('let'), name: variableName, expr: tie('expr'), span: fc.constant(span) }),
        fc.record({
          kind: fc.constant('select'),
          items: fc.array(tie('item'), { minLength: 1, maxLength: 3 }),
          span: fc.constant(span),
        }),
        fc.record({
          kind: fc.constant('limit'),
          count: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
          span: fc.constant(span),
        }),
      ) as fc.Arbitrary<Operation>,
      { maxLength: 3 },
    ),
    span: fc.constant(span),
  }),
  expr: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    fc.constantFrom<Expr>(
      { kind: 'constant', value: null, span },
      { kind: 'constant', value: true, span },
      { kind: 'constant', value: false, span },
    ),
    fc.record({
      kind: fc.constant('natural' as const),
      value: fc.oneof(fc.bigInt({ min: 0n, max: 9n }), naturals),
      span: fc.constant(span),
    }),
    fc
      .tuple(fc.constantFrom('', '-'), fc.nat(), fc.constantFrom('.0', '.5', '.125'))
      .map(([sign, whole, fraction]): Expr => {
        const written = `${sign}${String(whole)}${fraction}`
        return { kind: 'decimal', value: Number(written), text: written, span }
      }),
    fc.record({ kind: fc.constant('string' as const), value: text, span: fc.constant(span) }),
    fc.record({ kind: fc.constant('variable' as const), name: variableName, span: fc.constant(span) }),
    fc.record({
      kind: fc.constant('meta' as const),
      fn: fc.constantFrom('KEY', 'TIME', 'TAGS', 'APP'),
      name: variableName,
      span: fc.constant(span),
    }),
    fc.record({ kind: fc.constant('keyLiteral' as const), key: eventKey, span: fc.constant(span) }),
    fc.record({ kind: fc.constant('timeLiteral' as const), micros, span: fc.constant(span) }),
    fc.record({ kind: fc.constant('interpolation' as const), parts: tie('parts'), span: fc.constant(span) }),
    fc.record({
      kind: fc.constant('index' as const),
      head: tie('expr'),
      path: fc.array(tie('index'), { minLength: 1, maxLength: 3 }),
      span: fc.constant(span),
    }),
    fc.record({
      kind: fc.constant('object' as const),
      members: fc.array(fc.record({ key: tie('index'), value: tie('expr') }), { maxLength: 3 }),
      span: fc.constant(span),
    }),
    fc.record({
      kind: fc.constant('array' as const),
      items: fc.array(tie('item'), { maxLength: 3 }),
      span: fc.constant(span),
    }),
    fc.record({
      kind: fc.constant('cases' as const),
      branches: fc.array(fc.record({ condition: tie('expr'), result: tie('expr') }), { minLength: 1, maxLength: 2 }),
      span: fc.constant(span),
    }),
    fc.record({
      kind: fc.constant('call' as const),
      name: fc.constantFrom('IsDefined', 'Foo'),
      args: fc.array(tie('expr'), { maxLength: 2 }),
      span: fc.constant(span),
    }),
    fc.record({ kind: fc.constant('not' as const), operand: tie('expr'), span: fc.constant(span) }),
    fc.constantFrom(...LEVELS).chain((ops) =>
      fc.record({
        kind: fc.constant('chain' as const),
        first: tie('expr'),
        rest: fc.array(fc.record({ op: fc.constantFrom(...ops), operand: tie('expr') }), {
          minLength: 1,
          maxLength: 3,
        }),
        span: fc.constant(span),
      }),
    ),
    fc.record({
      kind: fc.constant('aggregator' as const),
      op: fc.constantFrom('SUM', 'PRODUCT', 'MIN', 'MAX', 'FIRST', 'LAST'),
      arg: tie('expr'),
      span: fc.constant(span),
    }),
    fc.record({ kind: fc.constant('subQuery' as const), query: tie('query'), span: fc.constant(span) }),
  ),
}))

/** The same tree without places. */
export function withoutSpans(tree: unknown): unknown {
  return JSON.parse(
    JSON.stringify(tree, (key, value: unknown) =>
      key === 'span' ? undefined : typeof value === 'bigint' ? `${String(value)}n` : value,
    ),
  )
}
