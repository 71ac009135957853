import { exactPower } from './exact-power.js'
import { MAX_NATURAL } from './literals.js'
import { mergeMeta, type Meta } from './metadata.js'
import { decimalValue, failure, naturalValue, typeName, type Failure, type Result, type Value } from './value.js'

export type ArithmeticOp = '+' | '-' | '*' | '/' | '%' | '^'

type NumberValue = Value & { readonly kind: 'natural' | 'integer' | 'decimal' }

/** Exponents above this are refused, whatever the base. */
const MAX_EXPONENT = 2 ** 32 - 1

export function isNumber(value: Value): value is NumberValue {
  return value.kind === 'natural' || value.kind === 'decimal' || value.kind === 'integer'
}

/** Two naturals compute exactly, everything else in doubles. */
export function compute(op: ArithmeticOp, left: Value, right: Value): Result {
  if (!isNumber(left)) return notANumberValue(op, left)
  if (!isNumber(right)) return notANumberValue(op, right)
  const meta = left.meta === right.meta ? left.meta : mergeMeta(left.meta, right.meta)
  if (left.kind === 'natural' && right.kind === 'natural') return computeNaturals(op, left.data, right.data, meta)
  return computeDecimals(op, Number(left.data), Number(right.data), meta)
}

function notANumberValue(op: ArithmeticOp, value: Value): Failure {
  return failure('type', `${op} needs numbers, not a value of type ${typeName(value)}`)
}

function computeNaturals(op: ArithmeticOp, a: number | bigint, b: number | bigint, meta: Meta | undefined): Result {
  if (typeof a === 'number' && typeof b === 'number') {
    const quick = computeSmall(op, a, b)
    if (quick !== undefined) return typeof quick === 'number' ? naturalValue(quick, meta) : quick
  }
  const exact = computeBig(op, BigInt(a), BigInt(b))
  return typeof exact === 'bigint' ? naturalValue(exact, meta) : exact
}

/** Exact results within the safe integers; `undefined` sends the rest to big integers. */
function computeSmall(op: ArithmeticOp, a: number, b: number): number | Failure | undefined {
  switch (op) {
    case '+':
      return safe(a + b)
    case '-':
      return a >= b ? a - b : overflow(op)
    case '*':
      return safe(a * b)
    case '/':
      return b === 0 ? divisionByZero() : (a - (a % b)) / b
    case '%':
      return b === 0 ? divisionByZero() : a % b
    case '^':
      return undefined
  }
}

function safe(value: number): number | undefined {
  return value <= Number.MAX_SAFE_INTEGER ? value : undefined
}

function computeBig(op: ArithmeticOp, a: bigint, b: bigint): bigint | Failure {
  switch (op) {
    case '+':
      return inRange(op, a + b)
    case '-':
      return inRange(op, a - b)
    case '*':
      return inRange(op, a * b)
    case '/':
      return b === 0n ? divisionByZero() : a / b
    case '%':
      return b === 0n ? divisionByZero() : a % b
    case '^':
      return power(a, b)
  }
}

/** Never multiplies further than to 64 bits. */
function power(base: bigint, exponent: bigint): bigint | Failure {
  if (exponent > BigInt(MAX_EXPONENT)) return failure('overflow', `overflow: exponent ${String(exponent)} is too large`)
  if (exponent === 0n || base === 1n) return 1n
  if (base === 0n) return 0n
  return exponent >= 64n ? overflow('^') : inRange('^', base ** exponent)
}

function inRange(op: ArithmeticOp, value: bigint): bigint | Failure {
  return value >= 0n && value <= MAX_NATURAL ? value : overflow(op)
}

function computeDecimals(op: ArithmeticOp, a: number, b: number, meta: Meta | undefined): Result {
  const value = decimalResult(op, a, b)
  if (Number.isNaN(value)) return failure('not-a-number', `the result of ${op} is not a number`)
  if (!Number.isFinite(value)) return overflow(op)
  return decimalValue(value, meta)
}

function decimalResult(op: ArithmeticOp, a: number, b: number): number {
  switch (op) {
    case '+':
      return a + b
    case '-':
      return a - b
    case '*':
      return a * b
    case '/':
      return a / b
    case '%':
      return a % b
    case '^':
      return exactPower(a, b)
  }
}

function overflow(op: ArithmeticOp): Failure {
  return failure('overflow', `overflow: the result of ${op} is out of range`)
}

function divisionByZero(): Failure {
  return failure('division-by-zero', 'division by zero')
}

/** Two naturals compare exactly, everything else as doubles. */
export function compareNumbers(left: NumberValue, right: NumberValue): number {
  const a = left.data
  const b = right.data
  if (left.kind === 'natural' && right.kind === 'natural') return a < b ? -1 : a > b ? 1 : 0
  const x = Number(a)
  const y = Number(b)
  return x < y ? -1 : x > y ? 1 : 0
}

/** Shortest digits that read back, always with a fraction: `5.0`, `-0.0`, `1.0e17`, `9.9e-7`. */
export function decimalText(value: number): string {
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0'
  const size = Math.abs(value)
  if (size >= 1e-6 && size <= 1e16) {
    const plain = String(value)
    return plain.includes('.') ? plain : `${plain}.0`
  }
  const [mantissa = '', exponent = ''] = value.toExponential().split('e')
  return `${mantissa.includes('.') ? mantissa : `${mantissa}.0`}e${exponent.replace('+', '')}`
}

/** `2020-01-02T03:04:05.678000Z`, always six digits. */
export function timestampText(micros: number | bigint): string {
  const exact = BigInt(micros)
  const seconds = floorDivide(exact, 1_000_000n)
  const iso = new Date(Number(seconds) * 1000).toISOString()
  return `${shortYear(iso.slice(0, -5))}.${String(exact - seconds * 1_000_000n).padStart(6, '0')}Z`
}

/** `+010000-…` → `+10000-…`, `-000001-…` → `-0001-…`. */
function shortYear(iso: string): string {
  return iso.replace(/^([+-])0+(?=\d{4,}-)/, '$1')
}

/** Beyond this many seconds a double cannot tell microseconds apart well; the reference then writes a date. */
const MAX_NUMERIC_SECONDS = 2n ** 52n / 1_000_000n

/** JSON of a timestamp: seconds with as much of a fraction as there is, or a date as text when that is far away. */
export function timestampJson(micros: number | bigint): string {
  const exact = BigInt(micros)
  const size = exact < 0n ? -exact : exact
  if (size / 1_000_000n > MAX_NUMERIC_SECONDS) return `"${shortFraction(timestampText(exact))}"`
  const fraction = String(size % 1_000_000n)
    .padStart(6, '0')
    .replace(/0+$/, '')
  return `${exact < 0n ? '-' : ''}${String(size / 1_000_000n)}.${fraction === '' ? '0' : fraction}`
}

/** Six digits become three or none where the rest are zeros. */
function shortFraction(text: string): string {
  return text.replace(/\.000000Z$/, 'Z').replace(/(\.\d{3})000Z$/, '$1Z')
}

function floorDivide(a: bigint, b: bigint): bigint {
  const quotient = a / b
  return a < 0n && quotient * b !== a ? quotient - 1n : quotient
}
