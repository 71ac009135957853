import type { AggregatorOp } from './ast.js'
import { FatalFault } from './fault.js'
import { MetaCollector } from './meta-collector.js'
import { compareKeys, maxKey, minKey } from './metadata.js'
import { compute, isNumber } from './numbers.js'
import { compareValues } from './operators.js'
import {
  booleanValue,
  failure,
  naturalValue,
  typeName,
  withMeta,
  type Failure,
  type Result,
  type Value,
} from './value.js'

/** Takes the values of one aggregator one by one. */
export interface Accumulator {
  /**
   * @param anti takes the value back
   * @throws FatalFault when that is impossible
   */
  add(value: Value, anti: boolean): void
  result(): Result
  /** Whether later values in the preferred order cannot change the result. */
  readonly settled: boolean
}

export function createAccumulator(op: AggregatorOp): Accumulator {
  switch (op) {
    case 'SUM':
    case 'PRODUCT':
      return new Total(op)
    case 'MIN':
    case 'MAX':
      return new Extreme(op)
    case 'FIRST':
    case 'LAST':
      return new Outermost(op)
  }
}

/** SUM and PRODUCT: of numbers by arithmetic, of booleans by or and and. */
class Total implements Accumulator {
  readonly settled = false
  readonly #op: 'SUM' | 'PRODUCT'
  readonly #meta = new MetaCollector()
  #number: Value | undefined
  /** A sum of naturals that is a safe integer, the ordinary case, without a value of its own for each step. */
  #smallSum = -1
  /** Booleans so far that decide the outcome: TRUE in a sum, FALSE in a product. */
  #deciding = 0
  #kind: 'empty' | 'boolean' | 'number' = 'empty'
  #spoiled: Failure | undefined

  constructor(op: 'SUM' | 'PRODUCT') {
    this.#op = op
  }

  add(value: Value, anti: boolean): void {
    if (this.#spoiled !== undefined) return
    if (value.kind === 'boolean' && this.#kind !== 'number') this.#addBoolean(value.data, anti)
    else if (isNumber(value) && this.#kind !== 'boolean') this.#addNumber(value, anti)
    else {
      const first = this.#kind === 'empty' ? '' : ` and values of type ${this.#kind}`
      this.#spoiled = failure('aggregate-type', `${this.#op} cannot take a value of type ${typeName(value)}${first}`)
      return
    }
    this.#meta.add(value.meta)
  }

  #addBoolean(data: boolean, anti: boolean): void {
    this.#kind = 'boolean'
    if (data === (this.#op === 'SUM')) this.#deciding += anti ? -1 : 1
  }

  #addNumber(value: Value, anti: boolean): void {
    if (this.#op === 'SUM' && !anti && value.kind === 'natural' && typeof value.data === 'number') {
      const sum = (this.#kind === 'empty' ? 0 : this.#smallSum) + value.data
      if ((this.#kind === 'empty' || this.#smallSum >= 0) && sum <= Number.MAX_SAFE_INTEGER) {
        this.#kind = 'number'
        this.#smallSum = sum
        return
      }
    }
    const before = this.#total()
    this.#smallSum = -1
    this.#kind = 'number'
    if (before === undefined) {
      this.#number = withMeta(value, undefined)
      return
    }
    const sum = anti ? '-' : '+'
    const product = anti ? '/' : '*'
    const total = compute(this.#op === 'SUM' ? sum : product, before, withMeta(value, undefined))
    if (total.kind === 'failure') this.#spoiled = failure('aggregate-type', `${this.#op}: ${total.message}`)
    else this.#number = total
  }

  #total(): Value | undefined {
    return this.#smallSum >= 0 ? naturalValue(this.#smallSum) : this.#number
  }

  result(): Result {
    if (this.#spoiled !== undefined) return this.#spoiled
    if (this.#kind === 'boolean') {
      return booleanValue(this.#op === 'SUM' ? this.#deciding > 0 : this.#deciding === 0, this.#meta.meta)
    }
    const total = this.#total()
    return total === undefined ? noValue(this.#op) : withMeta(total, this.#meta.meta)
  }
}

/** MIN and MAX; of equal values the first stays. */
class Extreme implements Accumulator {
  readonly settled = false
  readonly #op: 'MIN' | 'MAX'
  #best: Value | undefined
  #spoiled: Failure | undefined

  constructor(op: 'MIN' | 'MAX') {
    this.#op = op
  }

  add(value: Value, anti: boolean): void {
    if (anti) throw cannotTakeBack(this.#op)
    if (this.#spoiled !== undefined) return
    const order = this.#best === undefined ? 0 : compareValues(value, this.#best)
    if (order === undefined) {
      this.#spoiled = failure('aggregate-type', `${this.#op} cannot compare a value of type ${typeName(value)}`)
    } else if (this.#best === undefined || (this.#op === 'MIN' ? order < 0 : order > 0)) this.#best = value
  }

  result(): Result {
    return this.#spoiled ?? this.#best ?? noValue(this.#op)
  }
}

/** FIRST and LAST by event key; of values without one FIRST keeps the first seen, LAST the last. */
class Outermost implements Accumulator {
  readonly #op: 'FIRST' | 'LAST'
  #best: Value | undefined

  constructor(op: 'FIRST' | 'LAST') {
    this.#op = op
  }

  get settled(): boolean {
    return this.#best !== undefined
  }

  add(value: Value, anti: boolean): void {
    if (anti) throw cannotTakeBack(this.#op)
    if (this.#best === undefined || this.#wins(value, this.#best)) this.#best = value
  }

  #wins(value: Value, best: Value): boolean {
    const byMin = compareKeys(minKey(value.meta), minKey(best.meta))
    const byMax = compareKeys(maxKey(value.meta), maxKey(best.meta))
    if (this.#op === 'FIRST') return byMin < 0 || (byMin === 0 && byMax < 0)
    const tie = byMax === 0 && byMin === 0
    return byMax > 0 || (byMax === 0 && byMin > 0) || (tie && value.meta === undefined)
  }

  result(): Result {
    return this.#best ?? noValue(this.#op)
  }
}

function noValue(op: AggregatorOp): Failure {
  return failure('no-value', `${op} has no value`)
}

function cannotTakeBack(op: AggregatorOp): FatalFault {
  return new FatalFault(`${op} cannot take back a value that it has seen`)
}
