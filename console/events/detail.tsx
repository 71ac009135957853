import type { JSX } from 'preact'
import type { EventLine } from '../../client/index.js'
import { count } from '../figures/numbers.js'
import { streamTitle } from '../figures/names.js'
import { exactTime } from '../figures/times.js'
import { address, choose } from '../frame/address.js'
import { useOwnNode } from '../frame/node-facts.js'
import { useStreamNames } from '../frame/stream-names.js'
import { usePolled } from '../live/use-polled.js'
import { CopyButton } from '../parts/copy-button.js'
import { JsonTree } from '../parts/json-tree.js'
import { Loaded } from '../parts/loaded.js'
import { withTag } from './filter.js'
import { findEvent } from './neighbour.js'
import { eventName } from './row.js'

/** Events do not change, but one may be pruned while it is looked at; milliseconds. */
const LOOK_AGAIN_MS = 30_000

/** Tags shown of one event. */
const MOST_TAGS = 100

/** One event by its place. @param known the event, where the list has it */
export function Detail(props: { stream: string; offset: number; known: EventLine | undefined }): JSX.Element {
  const { stream, offset, known } = props
  if (known !== undefined) return <EventSheet event={known} />
  return <Fetched key={`${stream}/${String(offset)}`} stream={stream} offset={offset} />
}

function Fetched({ stream, offset }: { stream: string; offset: number }): JSX.Element {
  const polled = usePolled(`event ${stream}/${String(offset)}`, findEvent(stream, offset), LOOK_AGAIN_MS)
  return (
    <Loaded polled={polled} what="the event">
      {(found) => {
        if (found.kind === 'event') return <EventSheet event={found.event} />
        return (
          <>
            <Head stream={stream} offset={offset} />
            <p class="pad">
              {found.kind === 'pruned'
                ? `It is gone: the oldest event that is kept is ${count(found.firstOffset)}.`
                : found.kind === 'ahead'
                  ? `There is none yet: ${count(found.nextOffset)} will be the next.`
                  : 'This node does not have it.'}
            </p>
          </>
        )
      }}
    </Loaded>
  )
}

function EventSheet({ event }: { event: EventLine }): JSX.Element {
  const { tags, payload } = event
  return (
    <>
      <Head stream={event.stream} offset={event.offset} copy={event} />
      <div class="pad stack tight">
        <dl class="kv">
          <dt>time</dt>
          <dd>{exactTime(event.timestamp)}</dd>
          <dt>lamport</dt>
          <dd>{count(event.lamport)}</dd>
          <dt>offset</dt>
          <dd>{count(event.offset)}</dd>
          <dt>app</dt>
          <dd class="m">{event.appId}</dd>
          <dt>stream</dt>
          <dd class="m s">{event.stream}</dd>
        </dl>
        {tags.length === 0 ? (
          <p class="q">no tags</p>
        ) : (
          <div class="row" role="group" aria-label="Tags; choose one to add it to the filter">
            {tags.slice(0, MOST_TAGS).map((tag) => (
              <button
                key={tag}
                class="tag"
                type="button"
                title="Add to the filter"
                onClick={() => {
                  choose({ filter: withTag(address.value.fields['filter'] ?? '', tag) })
                }}
              >
                {tag}
              </button>
            ))}
            {tags.length > MOST_TAGS ? <span class="q">and {count(tags.length - MOST_TAGS)} more</span> : null}
          </div>
        )}
        <JsonTree value={payload} />
      </div>
    </>
  )
}

function Head({ stream, offset, copy }: { stream: string; offset: number; copy?: EventLine }): JSX.Element {
  const own = useOwnNode()
  const names = useStreamNames()
  const go = (to: number) => (): void => {
    choose({ event: eventName({ stream, offset: to }) })
  }
  return (
    <>
      <div class="head">
        <h2>
          Event {count(offset)} of {streamTitle(stream, own, names.get(stream))}
        </h2>
      </div>
      <div class="row bar-row">
        <button
          class="btn"
          type="button"
          disabled={offset === 0}
          aria-label="Event before in this stream"
          onClick={go(offset - 1)}
        >
          ‹ {offset === 0 ? '' : count(offset - 1)}
        </button>
        <button class="btn" type="button" aria-label="Event after in this stream" onClick={go(offset + 1)}>
          {count(offset + 1)} ›
        </button>
        <span class="grow" />
        {copy === undefined ? null : <CopyButton text={JSON.stringify(copy, undefined, 2)} />}
      </div>
    </>
  )
}
