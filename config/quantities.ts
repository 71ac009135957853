import { clip } from './problem.js'
import { InvalidSettingError } from './setting.js'

const SECOND_MICROS = 1_000_000

/** Microseconds per unit. */
const AGE_UNITS: Readonly<Record<string, number>> = {
  s: SECOND_MICROS,
  m: 60 * SECOND_MICROS,
  h: 3600 * SECOND_MICROS,
  d: 86_400 * SECOND_MICROS,
  w: 7 * 86_400 * SECOND_MICROS,
}

/** Milliseconds per unit. */
const INTERVAL_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** Bytes per unit. */
const SIZE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
}

/** The numbers of the Actyx settings are unsigned 64-bit integers. */
const LARGEST_NUMBER = 2n ** 64n - 1n

export const AGE_PATTERN = '^[1-9][0-9]*(s|m|h|d|w)$'
export const INTERVAL_PATTERN = '^[1-9][0-9]*(ms|s|m|h|d)$'
export const SIZE_PATTERN = '^[1-9][0-9]*(B|kB|MB|GB|KiB|MiB|GiB)$'

/** Told when a value is so large that it limits nothing. */
export type Warn = (reason: string, mend?: string) => void

/** `41m` → microseconds; `Infinity` when the product leaves the exact integers. @throws InvalidSettingError */
export function parseAge(text: string, warn: Warn): number {
  return unlimitedBeyondExact(parseQuantity(text, AGE_UNITS, 'age such as 30s, 41m, 24h, 14d or 2w'), text, warn)
}

/** `700MB` → bytes, otherwise as {@link parseAge}. */
export function parseSizeLimit(text: string, warn: Warn): number {
  return unlimitedBeyondExact(parseSizeExactly(text), text, warn)
}

/** A count as YAML gives it → a count, `Infinity` when it leaves the exact integers. @throws InvalidSettingError */
export function parseCountLimit(value: bigint, warn: Warn): number {
  if (value > LARGEST_NUMBER) throw new InvalidSettingError('the number does not fit 64 bits', 'leave the limit out')
  return unlimitedBeyondExact(value, String(value), warn)
}

/** `32MiB` → bytes. @throws InvalidSettingError */
export function parseSize(text: string): number {
  return exact(parseSizeExactly(text))
}

/** `60s` → milliseconds. @throws InvalidSettingError */
export function parseInterval(text: string): number {
  return exact(parseQuantity(text, INTERVAL_UNITS, 'time such as 500ms, 60s, 5m or 1h'))
}

function parseSizeExactly(text: string): bigint {
  return parseQuantity(text, SIZE_UNITS, 'size such as 500kB, 700MB, 256KiB or 2GiB')
}

function parseQuantity(text: string, units: Readonly<Record<string, number>>, expected: string): bigint {
  const [, digits, unit] = /^([1-9][0-9]*)([A-Za-z]+)$/.exec(text) ?? []
  const factor = unit !== undefined && Object.hasOwn(units, unit) ? units[unit] : undefined
  if (digits === undefined || factor === undefined) {
    throw new InvalidSettingError(`'${clip(text)}' is no ${expected}`, mendQuantity(text, units))
  }
  const number = BigInt(digits.slice(0, 30))
  if (digits.length > 20 || number > LARGEST_NUMBER) {
    throw new InvalidSettingError('the number does not fit 64 bits', 'leave the limit out')
  }
  return number * BigInt(factor)
}

/** What is wrong with the form, as precisely as it can be told. */
function mendQuantity(text: string, units: Readonly<Record<string, number>>): string {
  const allowed = `units: ${Object.keys(units).join(', ')}`
  const [, digits = '', gap = '', unit = ''] = /^\s*([0-9]+)(\s*)([A-Za-z]*)\s*$/.exec(text.slice(0, 100)) ?? []
  if (/[0-9][.,][0-9]/.test(text)) return `only whole numbers; take a smaller unit (${allowed})`
  if (digits === '') return `a whole number followed by a unit, without blank (${allowed})`
  const trimmed = digits.replace(/^0+/, '')
  if (trimmed === '') return 'at least 1; leave the limit out for none'
  if (unit === '') return `the unit is missing (${allowed})`
  const known = Object.keys(units).find((name) => name === unit) ?? similarUnit(unit, units)
  if (known === undefined) return `no unit '${unit}' here (${allowed})`
  const sameForm = gap === '' && trimmed === digits && known === unit
  return sameForm ? 'remove the white space around it' : `did you mean '${trimmed}${known}'? (${allowed})`
}

function similarUnit(unit: string, units: Readonly<Record<string, number>>): string | undefined {
  const names = Object.keys(units)
  return (
    names.find((name) => name.toLowerCase() === unit.toLowerCase()) ??
    names.find((name) => name.toLowerCase() === `${unit}b`.toLowerCase()) ??
    names.find((name) => /^[a-z]/.test(name) && unit.length > 2 && unit.toLowerCase().startsWith(name))
  )
}

function exact(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new InvalidSettingError('the value is beyond 2^53-1')
  return Number(value)
}

function unlimitedBeyondExact(value: bigint, text: string, warn: Warn): number {
  if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value)
  warn(`'${text}' is beyond every real bound and counts as no limit`, 'leave the limit out')
  return Infinity
}
