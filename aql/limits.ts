/** What one query may ask for. The reference has no limits and can be ended by one small request. */
export interface AqlLimits {
  /** Bytes of the text in UTF-8. */
  readonly maxTextBytes: number
  /** Parentheses, arrays, objects, cases, calls, prefixes, interpolations and sub-queries inside each other. */
  readonly maxNesting: number
  /** Operands in one chain of operators. */
  readonly maxOperands: number
  /** Branches of a tag expression's normal form; the number of its atoms counts instead when that is more. */
  readonly maxBranches: number
  /** Values that one sub-query or one spread may hold. */
  readonly maxValues: number
}

/** Used where the configuration says nothing. 20,000 operands let apps select many entities by one long chain. */
export const DEFAULT_AQL_LIMITS: AqlLimits = {
  maxTextBytes: 256 * 1024,
  maxNesting: 200,
  maxOperands: 20_000,
  maxBranches: 4096,
  maxValues: 1_000_000,
}
