import type { JSX } from 'preact'
import { useMemo } from 'preact/hooks'
import type { StreamReport } from '../../client/index.js'
import { counted } from '../figures/numbers.js'
import { useChoice } from '../frame/address.js'
import { useOwnNode } from '../frame/node-facts.js'
import { usePolled } from '../live/use-polled.js'
import { useRates } from '../live/use-rates.js'
import { Blank } from '../parts/blank.js'
import { Loaded } from '../parts/loaded.js'
import { Lane } from './lane.js'
import { RateHistory } from './rate-history.js'
import { StreamDetail } from './stream-detail.js'
import './streams.css'

/** Kept while one looks at other pages. */
const history = new RateHistory()

/** "What is kept, what goes when, and why is this still here?" */
export function StreamsPage(): JSX.Element {
  const polled = usePolled('streams', (client, signal) => client.streams(signal))
  const { value = [], atMs } = polled
  if (atMs !== undefined) history.add(value, atMs)
  const written = useMemo(() => new Map(value.map(({ stream, nextOffset }) => [stream, nextOffset])), [value])
  const rates = useRates(written, atMs)
  const wanted = useChoice('stream')
  const chosen = value.find(({ stream }) => stream === wanted) ?? value[0]
  return (
    <Loaded polled={polled} what="streams">
      {(streams) =>
        streams.length === 0 ? (
          <section class="sheet">
            <Blank title="No stream yet" command={`millrace publish -t hello '{"n":1}'`}>
              A stream appears with its first event.
            </Blank>
          </section>
        ) : (
          <>
            <p class="big">{answer(streams)}</p>
            <Lanes streams={streams} rates={rates} chosen={chosen?.stream} nowMs={atMs ?? Date.now()} />
            {chosen === undefined ? null : (
              <StreamDetail
                stream={chosen}
                perSecond={rates.get(chosen.stream)}
                points={history.of(chosen.stream)}
                atMs={atMs ?? Date.now()}
              />
            )}
          </>
        )
      }
    </Loaded>
  )
}

/** The answer of the page in one sentence. */
function answer(streams: readonly StreamReport[]): string {
  const going = streams.filter(({ nextPrune }) => nextPrune.blocks > 0)
  const total = streams.reduce((sum, { events }) => sum + events, 0)
  const kept = `${counted(total, 'event')} in ${counted(streams.length, 'stream')}`
  if (going.length === 0) return `${kept}. Nothing goes at the next prune.`
  const events = going.reduce((sum, { nextPrune }) => sum + nextPrune.events, 0)
  return `${kept}. ${counted(events, 'event')} of ${counted(going.length, 'stream')} go at the next prune.`
}

function Lanes(props: {
  streams: readonly StreamReport[]
  rates: ReadonlyMap<string, number>
  chosen: string | undefined
  nowMs: number
}): JSX.Element {
  const { streams, rates, chosen, nowMs } = props
  const ownNode = useOwnNode()
  return (
    <section class="sheet" aria-label="Streams">
      <div class="lane lanehead" aria-hidden="true">
        <b>{counted(streams.length, 'stream')}</b>
        <span class="lane-line">
          <span>beyond</span>
          <b>limit</b>
          <span>inside</span>
          <span>now</span>
        </span>
        <span class="r d">events</span>
        <span class="r d">on disk</span>
        <span>next prune</span>
      </div>
      {streams.map((stream) => (
        <Lane
          key={stream.stream}
          stream={stream}
          perSecond={rates.get(stream.stream)}
          ownNode={ownNode}
          isChosen={stream.stream === chosen}
          nowMs={nowMs}
        />
      ))}
    </section>
  )
}
