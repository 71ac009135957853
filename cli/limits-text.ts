import { formatCount, formatLimit, formatSpan } from './units.js'

/** Limits of a stream; `null` and `Infinity` are none. */
export interface Limits {
  readonly maxEvents: number | null
  readonly maxStoredBytes: number | null
  readonly maxAgeMicros: number | null
  readonly maxBlockAgeMicros: number | null
}

/** The limits in force, such as `10,000 events, 14d`; `-` for none. */
export function renderLimits({ maxEvents, maxStoredBytes, maxAgeMicros, maxBlockAgeMicros }: Limits): string {
  const parts: string[] = []
  if (isLimit(maxEvents)) parts.push(`${formatCount(maxEvents)} events`)
  if (isLimit(maxStoredBytes)) parts.push(formatLimit(maxStoredBytes))
  if (isLimit(maxAgeMicros)) parts.push(formatSpan(maxAgeMicros))
  if (isLimit(maxBlockAgeMicros)) parts.push(`blocks ${formatSpan(maxBlockAgeMicros)}`)
  return parts.length === 0 ? '-' : parts.join(', ')
}

function isLimit(limit: number | null): limit is number {
  return limit !== null && limit < Infinity
}
