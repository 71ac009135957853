// Powers of doubles, rounded to the nearest double. The `**` of the engine is often a unit in the last place off: it makes
// 0.000009999999999999999 of `10 ** -5`. Intermediate values are sums of two doubles, which hold about 106 bits.

/** A number as an unevaluated sum; `low` is at most half a unit in the last place of `high`. */
interface Sum {
  readonly high: number
  readonly low: number
}

const ONE: Sum = { high: 1, low: 0 }

/** Splits a double into two halves of at most 26 bits. */
const SPLITTER = 2 ** 27 + 1

/** Natural logarithm of 2. */
const LN_2: Sum = { high: 0.6931471805599453, low: 2.3190468138462996e-17 }

/** Whole exponents up to this are multiplied out: only with them a result can lie exactly between two doubles. */
const MAX_MULTIPLIED = 53

/** Results whose intermediate values neither overflow nor lose bits. */
const SAFE_SIZE = 2 ** 900

/** Terms of the series of the logarithm; each adds at least 5 bits, as its argument is at most 0.172. */
const LOG_TERMS = 22

/** Terms of the series of the exponential function for arguments of at most 0.35 / 2^8, and how often it is squared. */
const EXP_TERMS = 10
const EXP_SQUARINGS = 8

/** @returns `base ** exponent`, correctly rounded but for results below the normal doubles */
export function exactPower(base: number, exponent: number): number {
  const near = base ** exponent
  const size = Math.abs(base)
  if (!Number.isFinite(near) || near === 0 || size === 1 || exponent === 0 || exponent === 1) return near
  const isSafe = Math.abs(near) < SAFE_SIZE && Math.abs(near) > 1 / SAFE_SIZE
  const power =
    Number.isInteger(exponent) && exponent > 0 && exponent <= MAX_MULTIPLIED && isSafe
      ? multiplied(size, exponent).high
      : viaLogarithm(size, exponent)
  return near < 0 ? -power : power
}

function multiplied(base: number, exponent: number): Sum {
  let result = ONE
  for (const bit of exponent.toString(2)) {
    result = multiply(result, result)
    if (bit === '1') result = multiply(result, { high: base, low: 0 })
  }
  return result
}

function viaLogarithm(base: number, exponent: number): number {
  const { mantissa, twos } = decompose(base)
  const logarithm = add(logOf(mantissa), multiply(LN_2, { high: twos, low: 0 }))
  const product = multiply(logarithm, { high: exponent, low: 0 })
  const whole = Math.round(product.high / LN_2.high)
  const rest = add(product, multiply(LN_2, { high: -whole, low: 0 }))
  return scale(exponential(rest), whole)
}

/** @returns the base as mantissa × 2^twos, the mantissa between √½ and √2 */
function decompose(base: number): { readonly mantissa: number; readonly twos: number } {
  let twos = Math.round(Math.log2(base))
  let mantissa = scale(base, -twos)
  if (mantissa > Math.SQRT2) {
    mantissa /= 2
    twos += 1
  } else if (mantissa < Math.SQRT1_2) {
    mantissa *= 2
    twos -= 1
  }
  return { mantissa, twos }
}

/** Multiplies by 2^twos in steps that stay among the normal doubles. */
function scale(value: number, twos: number): number {
  const first = Math.max(-1000, Math.min(1000, twos))
  return value * 2 ** first * 2 ** (twos - first)
}

/** By 2·artanh((m-1)/(m+1)), which keeps its precision near 1. */
function logOf(mantissa: number): Sum {
  const z = divide(plain(mantissa - 1), sumOf(mantissa, 1))
  const square = multiply(z, z)
  let series: Sum = { high: 0, low: 0 }
  for (let term = LOG_TERMS; term >= 0; term--) series = add(multiply(series, square), divide(ONE, plain(2 * term + 1)))
  const half = multiply(series, z)
  return { high: half.high * 2, low: half.low * 2 }
}

function exponential(argument: Sum): number {
  const small: Sum = { high: argument.high / 2 ** EXP_SQUARINGS, low: argument.low / 2 ** EXP_SQUARINGS }
  // Without the 1, so that the squarings do not lose the small part.
  let series: Sum = { high: 0, low: 0 }
  for (let term = EXP_TERMS; term >= 1; term--) series = divide(multiply(add(series, ONE), small), plain(term))
  for (let times = 0; times < EXP_SQUARINGS; times++) {
    series = add({ high: series.high * 2, low: series.low * 2 }, multiply(series, series))
  }
  return add(series, ONE).high
}

function plain(value: number): Sum {
  return { high: value, low: 0 }
}

/** The sum of two doubles, without error. */
function sumOf(a: number, b: number): Sum {
  const high = a + b
  const fromB = high - a
  return { high, low: a - (high - fromB) + (b - fromB) }
}

/** The product of two doubles, without error. */
function productOf(a: number, b: number): Sum {
  const high = a * b
  const bigA = a * SPLITTER - (a * SPLITTER - a)
  const bigB = b * SPLITTER - (b * SPLITTER - b)
  const smallA = a - bigA
  const smallB = b - bigB
  return { high, low: bigA * bigB - high + bigA * smallB + smallA * bigB + smallA * smallB }
}

function add(a: Sum, b: Sum): Sum {
  const high = sumOf(a.high, b.high)
  const low = sumOf(a.low, b.low)
  const middle = sumOf(high.high, high.low + low.high)
  return sumOf(middle.high, middle.low + low.low)
}

function multiply(a: Sum, b: Sum): Sum {
  const { high, low } = productOf(a.high, b.high)
  return sumOf(high, low + (a.high * b.low + a.low * b.high))
}

function divide(a: Sum, b: Sum): Sum {
  const first = a.high / b.high
  const rest = add(a, multiply(b, plain(-first)))
  const second = rest.high / b.high
  const last = add(rest, multiply(b, plain(-second))).high / b.high
  const { high, low } = sumOf(first, second)
  return sumOf(high, low + last)
}
