import type { BlockReport, BlocksReport } from '../../../client/index.js'
import { bytes, count, counted, percent } from '../../figures/numbers.js'
import { duration, minute } from '../../figures/times.js'
import { fateWords } from './drawn-block.js'

/** `Block 464`; those in the middle of a stream have no number. */
export function blockName({ number, firstOffset }: BlockReport): string {
  return number === null ? `Block from offset ${count(firstOffset)}` : `Block ${count(number)}`
}

/** Reads a block out, without its name. */
export function blockFacts(block: BlockReport, nowMs: number): string {
  const { firstOffset, events, storedBytes, oldestTimestamp, newestTimestamp, sealed, state } = block
  const facts = [
    events === 0 ? 'no events' : `offsets ${count(firstOffset)} to ${count(firstOffset + events - 1)}`,
    counted(events, 'event'),
    storedBytes === null ? undefined : bytes(storedBytes),
    oldestTimestamp === null || newestTimestamp === null
      ? undefined
      : `${minute(oldestTimestamp / 1000, nowMs)} to ${minute(newestTimestamp / 1000, nowMs)}`,
    state !== 'ok' ? undefined : sealed ? 'sealed' : 'open',
  ]
  return facts.filter((fact) => fact !== undefined).join(', ')
}

/** What becomes of a block and until when, as a sentence. */
export function fateSentence(block: BlockReport, nowMs: number): string {
  const words = fateWords(block)
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}${untilWords(block, nowMs)}.`
}

function untilWords({ fate }: BlockReport, nowMs: number): string {
  if (fate === null || !('heldBy' in fate) || !fate.old || fate.until === null) return ''
  return `, for ${duration(fate.until / 1000 - nowMs)} more`
}

/** How full the open block is; `21 %`. */
export function openLevel({ events, maxEvents, payloadBytes, maxBytes }: NonNullable<BlocksReport['open']>): string {
  return percent(Math.max(events / maxEvents, payloadBytes / maxBytes))
}
