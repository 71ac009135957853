import { compareCodePoints } from '../core/index.js'
import type { BinaryOp } from './ast.js'
import { mergeMeta } from './metadata.js'
import { compareNumbers, compute, isNumber } from './numbers.js'
import type { Scope } from './compiled.js'
import { booleanValue, failure, typeName, type Failure, type Result, type Value } from './value.js'

/** Combines two operands that both have a value. */
export type Operator = (left: Value, right: Value, scope: Scope) => Result

/** Characters of two compared texts that count as one cell. */
const COMPARED_PER_CELL = 8

/** Order of two values of one type; `undefined` when there is none. */
export function compareValues(left: Value, right: Value): number | undefined {
  if (isNumber(left) && isNumber(right)) return compareNumbers(left, right)
  if (left.kind === 'string' && right.kind === 'string') {
    return left.data === right.data ? 0 : compareCodePoints(left.data, right.data)
  }
  if (left.kind === 'boolean' && right.kind === 'boolean') return Number(left.data) - Number(right.data)
  return left.kind === 'null' && right.kind === 'null' ? 0 : undefined
}

function comparison(op: BinaryOp, holds: (order: number) => boolean): Operator {
  return (left, right, scope) => {
    if (left.kind === 'string' && right.kind === 'string') {
      const tooLarge = scope.charge(Math.min(left.data.length, right.data.length) / COMPARED_PER_CELL)
      if (tooLarge !== undefined) return tooLarge
    }
    const order = compareValues(left, right)
    if (order === undefined) {
      return failure('incomparable', `${op} cannot compare types ${typeName(left)} and ${typeName(right)}`)
    }
    return booleanValue(holds(order), left.meta === right.meta ? left.meta : mergeMeta(left.meta, right.meta))
  }
}

export function notABoolean(op: string, value: Value): Failure {
  return failure('not-a-boolean', `${op} needs a boolean, not a value of type ${typeName(value)}`)
}

/** The right operand is looked at only when the left one does not decide. */
function logic(op: '&' | '|', decisive: boolean): Operator {
  return (left, right) => {
    if (left.kind !== 'boolean') return notABoolean(op, left)
    const meta = left.meta === right.meta ? left.meta : mergeMeta(left.meta, right.meta)
    if (left.data === decisive) return booleanValue(decisive, meta)
    return right.kind === 'boolean' ? booleanValue(right.data, meta) : notABoolean(op, right)
  }
}

function exclusiveOr(left: Value, right: Value): Result {
  if (left.kind !== 'boolean') return notABoolean('~', left)
  if (right.kind !== 'boolean') return notABoolean('~', right)
  return booleanValue(left.data !== right.data, mergeMeta(left.meta, right.meta))
}

/** All operators but `??`, which looks at failures. */
export const OPERATORS: Readonly<Record<Exclude<BinaryOp, '??'>, Operator>> = {
  '|': logic('|', true),
  '&': logic('&', false),
  '~': exclusiveOr,
  '=': comparison('=', (order) => order === 0),
  '!=': comparison('!=', (order) => order !== 0),
  '<': comparison('<', (order) => order < 0),
  '<=': comparison('<=', (order) => order <= 0),
  '>': comparison('>', (order) => order > 0),
  '>=': comparison('>=', (order) => order >= 0),
  '+': (left, right) => compute('+', left, right),
  '-': (left, right) => compute('-', left, right),
  '*': (left, right) => compute('*', left, right),
  '/': (left, right) => compute('/', left, right),
  '%': (left, right) => compute('%', left, right),
  '^': (left, right) => compute('^', left, right),
}
