import type { JSX } from 'preact'
import type { BlocksReport, StreamReport } from '../../../client/index.js'
import { bytes, count, counted } from '../../figures/numbers.js'
import { duration, minute } from '../../figures/times.js'
import { blockName, fateSentence, openLevel } from './block-words.js'
import { formOf, type BlockForm } from './drawn-block.js'
import { Patterns } from './patterns.js'

/** Goes at the next prune; old but stays; open block. */
export function Answers(props: { stream: StreamReport; report: BlocksReport; nowMs: number }): JSX.Element {
  const { stream, report, nowMs } = props
  const { nextPrune, retention } = stream
  const inTime = report.nextPruneAt === null ? '' : `, in ${duration(report.nextPruneAt / 1000 - nowMs)}`
  const going = report.blocks.filter((block) => formOf(block) === 'goes')
  const held = report.blocks.filter((block) => formOf(block) === 'held')
  const [oldest] = held
  return (
    <div class="why">
      <div>
        <h3>
          <Sign form="goes" />
          Goes at the next prune{going.length === 0 ? '' : inTime}
        </h3>
        <p>{going.length === 0 ? nothingGoes(stream) : goingWords(report, going.length, nextPrune)}</p>
      </div>
      <div>
        <h3>
          <Sign form="held" />
          Old, but stays
        </h3>
        <p>
          {oldest === undefined
            ? 'Nothing.'
            : `${counted(held.length, 'block')}. ${blockName(oldest)}: ${fateSentence(oldest, nowMs)}`}
        </p>
      </div>
      <div>
        <h3>
          <Sign form="open" />
          Open block
        </h3>
        <p>
          {report.open === null ? 'None.' : openWords(report.open, report.blocks.at(-1), nowMs)}
          {retention.maxBlockAgeMicros === null && isWaiting(report) ? ' maxBlockAge would seal it in time.' : ''}
        </p>
      </div>
    </div>
  )
}

function nothingGoes({ retention }: StreamReport): string {
  const { maxAgeMicros, maxEvents, maxStoredBytes } = retention
  const isPermanent = maxAgeMicros === null && maxEvents === null && maxStoredBytes === null
  return isPermanent ? 'Nothing. This stream is kept for ever.' : 'Nothing.'
}

/** Of many blocks only both ends are known here; what a prune would take now is known of all. */
function goingWords(report: BlocksReport, shown: number, nextPrune: StreamReport['nextPrune']): string {
  const going = report.blocks.filter((block) => formOf(block) === 'goes')
  const events = going.reduce((sum, block) => sum + block.events, 0)
  const stored = going.reduce((sum, block) => sum + (block.storedBytes ?? 0), 0)
  if (shown >= nextPrune.blocks) return `${counted(shown, 'block')}: ${counted(events, 'event')}, ${bytes(stored)}.`
  return `${counted(nextPrune.blocks, 'block')}: ${counted(nextPrune.events, 'event')}, ${bytes(nextPrune.storedBytes)}.`
}

function openWords(
  open: NonNullable<BlocksReport['open']>,
  block: BlocksReport['blocks'][number] | undefined,
  nowMs: number,
): string {
  const level = `${count(open.events)} of ${counted(open.maxEvents, 'event')}, ${bytes(open.payloadBytes)} of ${bytes(open.maxBytes)}`
  const fullIn = fullWithin(open, block, nowMs)
  const end = open.endsAt === null ? '' : ` Sealed ${minute(open.endsAt / 1000, nowMs)} at the latest.`
  return `${level}: ${openLevel(open)} full.${fullIn === undefined ? '' : ` Full in about ${duration(fullIn)} at the present rate.`}${end}`
}

/** Milliseconds until it is full if events come as they have since it was begun. */
function fullWithin(
  { events, maxEvents, payloadBytes, maxBytes }: NonNullable<BlocksReport['open']>,
  block: BlocksReport['blocks'][number] | undefined,
  nowMs: number,
): number | undefined {
  const level = Math.max(events / maxEvents, payloadBytes / maxBytes)
  if (block?.oldestTimestamp == null || level <= 0 || events < 2) return undefined
  const sinceMs = nowMs - block.oldestTimestamp / 1000
  return sinceMs <= 0 ? undefined : (sinceMs * (1 - level)) / level
}

/** Whether the open block is all that keeps old events. */
function isWaiting({ blocks }: BlocksReport): boolean {
  const fate = blocks.at(-1)?.fate
  return fate != null && 'heldBy' in fate && fate.heldBy === 'notFull' && fate.old
}

/** The form that is meant. */
function Sign({ form }: { form: BlockForm }): JSX.Element {
  const id = `sign-${form}`
  return (
    <svg viewBox="0 0 20 20" aria-hidden="true">
      <Patterns id={id} />
      {form === 'open' ? (
        <>
          <rect
            x="1.5"
            y="1.5"
            width="17"
            height="17"
            fill="none"
            stroke="var(--data)"
            stroke-width="2"
            stroke-dasharray="4 3"
          />
          <rect x="1.5" y="11" width="17" height="7.5" fill="var(--soft)" stroke="var(--data)" stroke-width="2" />
        </>
      ) : (
        <rect
          x="1.5"
          y="1.5"
          width="17"
          height="17"
          fill={form === 'goes' ? `url(#hatched-${id})` : `url(#dotted-${id})`}
          stroke="var(--data)"
          stroke-width={form === 'goes' ? 1.5 : 3}
        />
      )}
    </svg>
  )
}
