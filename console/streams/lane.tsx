import type { JSX } from 'preact'
import type { StreamReport } from '../../client/index.js'
import { streamWords } from '../figures/names.js'
import { bytes, count, counted, rate } from '../figures/numbers.js'
import { choose } from '../frame/address.js'
import { usePolled } from '../live/use-polled.js'
import { LanePicture } from './lane-picture.js'
import { loadBlocks, type ShownBlocks } from './picture/shown-blocks.js'
import { pruneWords, type PruneWords } from './stream-words.js'

/** Lanes are small, and there may be many of them; milliseconds. */
const LANE_MS = 10_000

/** One stream: its blocks along time, how much it holds, and what goes next. */
export function Lane(props: {
  stream: StreamReport
  perSecond: number | undefined
  ownNode: string | undefined
  isChosen: boolean
  nowMs: number
}): JSX.Element {
  const { stream, perSecond, ownNode, isChosen, nowMs } = props
  const id = stream.stream
  const { value } = usePolled(
    `lane ${id}`,
    async (client, signal) => ({ shown: await loadBlocks(client, id, false, signal) }),
    LANE_MS,
  )
  const shown = value?.shown
  const { name, owner } = streamWords(id, ownNode, stream.name)
  return (
    <button
      class="lane"
      type="button"
      aria-pressed={isChosen}
      onClick={() => {
        choose({ stream: id, block: '', blocks: '' })
      }}
    >
      <span>
        <b>{name}</b>
        <small>
          {owner}, {rate(perSecond)}
        </small>
      </span>
      {shown === undefined ? <span /> : <LanePicture stream={stream} shown={shown} nowMs={nowMs} />}
      <span class="r d">{count(stream.events)}</span>
      <span class="r d">{bytes(stream.storedBytes)}</span>
      <Words words={wordsFor(stream, shown, nowMs)} />
    </button>
  )
}

function Words({ words }: { words: PruneWords & { readonly isAlarm?: true } }): JSX.Element {
  const { short, more, isNotable, isAlarm } = words
  return (
    <span class={isAlarm === undefined ? '' : 'lost'}>
      {isNotable ? <b>{short}</b> : short}
      {more === '' ? null : <small>{more}</small>}
    </span>
  )
}

/** A gap goes before everything else that there is to say. */
function wordsFor(
  stream: StreamReport,
  shown: ShownBlocks | undefined,
  nowMs: number,
): PruneWords & { readonly isAlarm?: true } {
  const lost = (shown?.report.blocks ?? []).filter(({ state }) => state !== 'ok')
  if (lost.length === 0) return pruneWords(stream, nowMs)
  const events = lost.reduce((sum, block) => sum + block.events, 0)
  return { short: `gap of ${counted(events, 'event')}`, more: 'see the page Swarm', isNotable: true, isAlarm: true }
}
