import type { PreparedQuery } from '../../aql/index.js'
import type { EventOrder } from '../../core/index.js'

/** What lets a row depend on more than one event, or an event have more than one row. */
const ENTANGLING: ReadonlySet<string> = new Set([
  'aggregate',
  'fromArray',
  'limit',
  'multiEmission',
  'spread',
  'subQuery',
])

/**
 * Whether an answer can be taken up after any of its rows, by asking the same with the offsets of what was delivered as
 * lower bound: each row follows from one event alone, and offsets only rise.
 */
export function isResumable({ source, features, preferredOrder }: PreparedQuery, order: EventOrder): boolean {
  return (
    source === 'events' && (preferredOrder ?? order) !== 'desc' && !features.some((feature) => ENTANGLING.has(feature))
  )
}
