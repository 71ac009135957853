import type { Limits } from '../client/index.js'
import { formatCount, formatLimit, formatSpan } from './units.js'

/** The limits in force, such as `10,000 events, 14d`; `-` for none. `Infinity` counts as `null`. */
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
