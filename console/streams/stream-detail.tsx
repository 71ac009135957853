import type { JSX } from 'preact'
import type { StreamReport } from '../../client/index.js'
import { bytes, count, counted, rate } from '../figures/numbers.js'
import { streamTitle } from '../figures/names.js'
import { minute } from '../figures/times.js'
import { useOwnNode } from '../frame/node-facts.js'
import { BlockPanel } from './picture/block-panel.js'
import { RatePicture } from './rate-picture.js'
import type { RatePoint } from './rate-history.js'
import { fillings, limitsText } from './stream-words.js'

/** One stream: what it holds, how far its limits are used up, what goes and what stays. */
export function StreamDetail(props: {
  stream: StreamReport
  perSecond: number | undefined
  points: readonly RatePoint[]
  atMs: number
}): JSX.Element {
  const { stream, perSecond, points, atMs } = props
  const ownNode = useOwnNode()
  const title = streamTitle(stream.stream, ownNode, stream.name)
  const limits = limitsText(stream.retention)
  return (
    <section class="sheet" aria-label={title}>
      <div class="head">
        <h2>{title}</h2>
        <span class="q">
          {counted(stream.events, 'event')} in {counted(stream.blocks, 'block')}, {bytes(stream.storedBytes)} on disk,{' '}
          {rate(perSecond)}. {limits === '' ? 'No limits.' : `${limits}.`}
        </span>
      </div>
      <BlockPanel stream={stream} name={title} />
      <div class="cols halves stream-more">
        <div>
          <Fillings stream={stream} atMs={atMs} />
          <dl class="kv pad">
            <dt>offsets</dt>
            <dd>{stream.events === 0 ? 'none' : `${count(stream.firstOffset)} to ${count(stream.nextOffset - 1)}`}</dd>
            <dt>events from</dt>
            <dd>{spanText(stream)}</dd>
            <dt>stream id</dt>
            <dd class="m">{stream.stream}</dd>
            <dt>look at them</dt>
            <dd>
              <a
                href={`#events?event=${encodeURIComponent(`${stream.stream}/${String(Math.max(0, stream.nextOffset - 1))}`)}`}
              >
                newest event
              </a>
            </dd>
          </dl>
        </div>
        <RatePicture points={points} nowMs={atMs} />
      </div>
    </section>
  )
}

function spanText({ oldestTimestamp, newestTimestamp }: StreamReport): string {
  if (oldestTimestamp === null || newestTimestamp === null) return 'none'
  return `${minute(oldestTimestamp / 1000)} to ${minute(newestTimestamp / 1000)}`
}

function Fillings({ stream, atMs }: { stream: StreamReport; atMs: number }): JSX.Element | null {
  const limits = fillings(stream, atMs)
  if (limits.length === 0) return null
  return (
    <div class="pad stack tight">
      {limits.map(({ name, part, text }) => (
        <div key={name} class="filling">
          <b>{name}</b>
          <div class="meter">
            <i style={{ width: `${String(Math.min(100, part * 100))}%` }} />
          </div>
          <span class="r">{text}</span>
        </div>
      ))}
    </div>
  )
}
