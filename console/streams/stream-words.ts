import type { LimitName, Limits, StreamReport } from '../../client/index.js'
import { bytes, count, counted } from '../figures/numbers.js'
import { duration } from '../figures/times.js'

/** What happens to a stream at the next prune, in a few words. */
export interface PruneWords {
  readonly short: string
  readonly more: string
  /** Whether something is to go, or stays though it is old: what one looks for. */
  readonly isNotable: boolean
}

export function pruneWords({ nextPrune, nextPruneAt, blocks, decidedBy }: StreamReport, nowMs: number): PruneWords {
  if (nextPrune.blocks > 0) {
    const short = `${count(nextPrune.blocks)} of ${counted(blocks, 'block')} ${nextPrune.blocks === 1 ? 'goes' : 'go'}`
    const when = nextPruneAt === null ? '' : `in ${duration(nextPruneAt / 1000 - nowMs)}, `
    return { short, more: `${when}${counted(nextPrune.events, 'event')}`, isNotable: true }
  }
  switch (nextPrune.heldBackBy) {
    case 'no-limit':
      return { short: 'kept for ever', more: '', isNotable: false }
    case 'unsealed':
      return { short: 'nothing goes', more: 'the oldest block is not full', isNotable: false }
    case 'clock-jump':
      return { short: 'nothing goes', more: 'the clock has jumped', isNotable: true }
    case 'within-limits':
      return { short: 'nothing goes', more: decidedBy === null ? '' : `inside ${decidedBy}`, isNotable: false }
    case 'owner':
      return { short: 'nothing goes', more: 'its owner decides', isNotable: false }
    case 'damage':
      return { short: 'nothing goes', more: 'its index is damaged', isNotable: true }
    case 'read-only':
      return { short: 'nothing goes', more: 'the store takes no writes', isNotable: true }
  }
}

/** `maxAge 6 h, maxEvents 22,000`; an empty text without limits. */
export function limitsText(limits: Limits): string {
  return LIMITS.flatMap((limit) => {
    const text = limitText(limits, limit)
    return text === '' ? [] : [`${limit} ${text}`]
  }).join(', ')
}

const LIMITS = ['maxAge', 'maxEvents', 'maxSize', 'maxBlockAge'] as const

/** `6 h`, `22,000`; an empty text where there is no such limit. */
export function limitText(limits: Limits, limit: LimitName | 'maxBlockAge'): string {
  const { maxAgeMicros, maxEvents, maxStoredBytes, maxBlockAgeMicros } = limits
  switch (limit) {
    case 'maxAge':
      return maxAgeMicros === null ? '' : duration(maxAgeMicros / 1000)
    case 'maxEvents':
      return maxEvents === null ? '' : count(maxEvents)
    case 'maxSize':
      return maxStoredBytes === null ? '' : bytes(maxStoredBytes)
    case 'maxBlockAge':
      return maxBlockAgeMicros === null ? '' : duration(maxBlockAgeMicros / 1000)
  }
}

/** How full a stream is by each of its limits, as parts of 1; more than 1 is beyond it. */
export function fillings(stream: StreamReport, nowMs: number): readonly Filling[] {
  const { retention, events, storedBytes, oldestTimestamp } = stream
  const ageMicros = oldestTimestamp === null ? 0 : nowMs * 1000 - oldestTimestamp
  const all: readonly (readonly [string, number, number | null, (value: number) => string])[] = [
    ['maxAge', ageMicros, retention.maxAgeMicros, (micros) => duration(micros / 1000)],
    ['maxEvents', events, retention.maxEvents, count],
    ['maxSize', storedBytes, retention.maxStoredBytes, bytes],
  ]
  return all.flatMap(([name, value, limit, text]) =>
    limit === null ? [] : [{ name, part: limit === 0 ? 1 : value / limit, text: `${text(value)} of ${text(limit)}` }],
  )
}

/** One limit and how far it is used up. */
export interface Filling {
  readonly name: string
  readonly part: number
  readonly text: string
}
