import type { EventOrder } from '../core/index.js'
import type { AggregatorOp, Expr } from './ast.js'
import type { Evaluate, ExprCompiler } from './compile-expr.js'
import { renderExpr } from './render.js'

export interface AggregatorSpec {
  readonly op: AggregatorOp
  /** Of the argument, for each input. */
  readonly evaluate: Evaluate
}

/** The aggregators of one `AGGREGATE`; equal ones are computed once. */
export class AggregatorTable {
  readonly specs: AggregatorSpec[] = []
  readonly #compiler: ExprCompiler
  readonly #known = new Map<string, number>()

  /** @param compiler for the arguments */
  constructor(compiler: ExprCompiler) {
    this.#compiler = compiler
  }

  /** @returns the number of the aggregator */
  add(op: AggregatorOp, arg: Expr): number {
    const key = `${op} ${renderExpr(arg)}`
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const number = this.specs.push({ op, evaluate: this.#compiler.compile(arg) }) - 1
    this.#known.set(key, number)
    return number
  }

  get preferredOrder(): EventOrder | undefined {
    const [first] = this.specs
    if (first === undefined || this.specs.some(({ op }) => op !== first.op)) return undefined
    return first.op === 'FIRST' ? 'asc' : first.op === 'LAST' ? 'desc' : undefined
  }
}
