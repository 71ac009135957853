import type { EventOrder } from '../core/index.js'
import type { AggregatorOp, Expr } from './ast.js'
import type { AggregatorSpec, Evaluate } from './compiled.js'
import { renderExpr } from './render.js'

/** The aggregators of one `AGGREGATE`; equal ones are computed once. */
export class AggregatorTable {
  readonly specs: AggregatorSpec[] = []
  readonly #compile: (arg: Expr) => Evaluate
  readonly #known = new Map<string, number>()

  /** @param compile for the arguments */
  constructor(compile: (arg: Expr) => Evaluate) {
    this.#compile = compile
  }

  /** @returns the number of the aggregator */
  add(op: AggregatorOp, arg: Expr): number {
    const key = `${op} ${renderExpr(arg)}`
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const number = this.specs.push({ op, evaluate: this.#compile(arg) }) - 1
    this.#known.set(key, number)
    return number
  }

  get preferredOrder(): EventOrder | undefined {
    const [first] = this.specs
    if (first === undefined || this.specs.some(({ op }) => op !== first.op)) return undefined
    return first.op === 'FIRST' ? 'asc' : first.op === 'LAST' ? 'desc' : undefined
  }
}
