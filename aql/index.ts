export type {
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
  TagAtom,
  TagExpr,
  TimestampBound,
} from './ast.js'
export {
  AqlFeatureNotEnabledError,
  AqlRangesDifferError,
  AqlSyntaxError,
  AqlTooComplexError,
  AqlUnsupportedFeatureError,
} from './errors.js'
export { explainQuery, type ExplainedBranch, type QueryExplanation } from './explain.js'
export type { Endpoint } from './features.js'
export { DEFAULT_AQL_LIMITS, type AqlLimits } from './limits.js'
export type { LiveQuery } from './live-query.js'
export { parseQuery } from './parse.js'
export { prepareQuery, type PreparedQuery, type PrepareOptions } from './prepare.js'
export type { RunInput, RunOutcome } from './query-run.js'
export { renderQuery } from './render.js'
export { parseRoute, RouteError } from './route.js'
export { renderRow, type Row, type RowMeta } from './rows.js'
