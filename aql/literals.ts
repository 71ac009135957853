import { isNodeId, NODE_ID_LENGTH } from '../core/index.js'
import type { DurationUnit } from './ast.js'

/** Greatest natural number: 64 bits. */
export const MAX_NATURAL = 2n ** 64n - 1n

/** Microseconds of each unit; months and years are mean synodic months and mean tropical years. */
const UNIT_MICROS: Readonly<Record<DurationUnit, bigint>> = {
  s: 1_000_000n,
  m: 60_000_000n,
  h: 3_600_000_000n,
  D: 86_400_000_000n,
  W: 604_800_000_000n,
  M: 2_551_442_876_908n,
  Y: 31_556_925_250_733n,
}

/** @returns the number, or `undefined` when it needs more than 64 bits */
export function parseNatural(digits: string): bigint | undefined {
  // More digits than this cannot fit unless they are zeros, and must not be multiplied out.
  const significant = digits.replace(/^0+(?=\d)/, '')
  if (significant.length > 20) return undefined
  const value = BigInt(significant)
  return value <= MAX_NATURAL ? value : undefined
}

/** Length in microseconds; saturates at 64 bits. */
export function durationMicros(amount: bigint, unit: DurationUnit): bigint {
  const micros = amount * UNIT_MICROS[unit]
  return micros <= MAX_NATURAL ? micros : MAX_NATURAL
}

/**
 * @param date `YYYY-MM-DD`
 * @param time empty or `THH:MM`, `THH:MM:SS`, and these with a fraction; digits beyond microseconds are cut off
 * @param zone `Z` or `+HH:MM` or `-HH:MM`
 * @returns microseconds since 1970, or `undefined` when the calendar has no such day
 */
export function timestampMicros(date: string, time: string, zone: string): bigint | undefined {
  const year = Number(date.slice(0, 4))
  const month = Number(date.slice(5, 7))
  const day = Number(date.slice(8, 10))
  const midnight = new Date(0)
  midnight.setUTCFullYear(year, month - 1, day)
  if (midnight.getUTCMonth() !== month - 1 || midnight.getUTCDate() !== day) return undefined
  const seconds = Number(time.slice(1, 3)) * 3600 + Number(time.slice(4, 6)) * 60 + Number(time.slice(7, 9))
  const fraction = BigInt(time.slice(10, 16).padEnd(6, '0'))
  return BigInt(midnight.getTime()) * 1000n + BigInt(seconds - zoneSeconds(zone)) * 1_000_000n + fraction
}

function zoneSeconds(zone: string): number {
  if (zone === 'Z') return 0
  const seconds = Number(zone.slice(1, 3)) * 3600 + Number(zone.slice(4, 6)) * 60
  return zone.startsWith('-') ? -seconds : seconds
}

/** @returns the stream id with its number in canonical form, or `undefined` when there can be no such stream */
export function parseStreamLiteral(text: string): string | undefined {
  const nodeId = text.slice(0, NODE_ID_LENGTH)
  const number = parseNatural(text.slice(NODE_ID_LENGTH + 1))
  return isNodeId(nodeId) && number !== undefined ? `${nodeId}-${String(number)}` : undefined
}
