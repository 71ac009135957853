import type { JSX } from 'preact'
import { useEffect, useMemo, useState } from 'preact/hooks'
import { count, rate } from '../figures/numbers.js'
import { clock } from '../figures/times.js'
import { choose, useChoice } from '../frame/address.js'
import { useOwnNode } from '../frame/node-facts.js'
import { useStreamNames } from '../frame/stream-names.js'
import { useCell } from '../live/cell.js'
import { isRefusal } from '../live/link.js'
import { NARROW, useMedia } from '../live/use-media.js'
import { useLink } from '../live/use-polled.js'
import { Blank } from '../parts/blank.js'
import { Failure } from '../parts/failure.js'
import { Outline } from '../parts/outline.js'
import { Detail } from './detail.js'
import './events.css'
import { filterQuery } from './filter.js'
import { EventList } from './list.js'
import { parseEventName } from './row.js'
import { Tail } from './tail.js'

/** "What is happening now?" */
export function EventsPage(): JSX.Element {
  const link = useLink()
  const filter = useChoice('filter')
  const tail = useMemo(() => new Tail(link, filterQuery(filter)), [link, filter])
  useEffect(() => {
    void tail.run()
    return () => {
      tail.end()
    }
  }, [tail])
  const error = useCell(tail.error)
  return (
    <>
      <section class="sheet row bar-row tail-bar" aria-label="Tail">
        <PauseButton tail={tail} />
        <FilterField key={filter} filter={filter} error={error} />
        <Rate tail={tail} />
      </section>
      {error === undefined ? <Followed tail={tail} /> : isBadFilter(error) ? null : <Failure error={error} />}
    </>
  )
}

/** A filter that the daemon does not take is explained at its field. */
function isBadFilter(error: Error | undefined): boolean {
  return isRefusal(error) && error.status < 500 && error.status !== 401 && error.status !== 403
}

/** What would be right; the drawing of the line before it is for terminals. */
function faultText(message: string): string {
  return message.slice(message.lastIndexOf(' = ') < 0 ? 0 : message.lastIndexOf(' = ') + 3)
}

function PauseButton({ tail }: { tail: Tail }): JSX.Element {
  const { pausedMs } = useCell(tail.view)
  return (
    <button
      class="btn pri"
      type="button"
      onClick={() => {
        if (pausedMs === undefined) tail.pause()
        else tail.resume()
      }}
    >
      {pausedMs === undefined ? 'Pause' : 'Go on'}
    </button>
  )
}

function FilterField({ filter, error }: { filter: string; error: Error | undefined }): JSX.Element {
  const [text, setText] = useState(filter)
  const isBad = isBadFilter(error) && text === filter
  const use = (event: Event): void => {
    event.preventDefault()
    choose({ filter: text.trim() })
  }
  return (
    <form class="grow row" onSubmit={use}>
      <label class="vh" for="filter">
        Show only events that match
      </label>
      <input
        class="in m"
        id="filter"
        value={text}
        placeholder="'tag' & 'other tag'"
        spellcheck={false}
        autocomplete="off"
        aria-invalid={isBad}
        aria-describedby="filter-fault"
        onInput={(event) => {
          setText(event.currentTarget.value)
        }}
      />
      <button class="btn" type="submit" disabled={text.trim() === filter}>
        Use
      </button>
      {filter === '' ? null : (
        <button
          class="btn"
          type="button"
          onClick={() => {
            choose({ filter: '' })
          }}
        >
          Show all
        </button>
      )}
      <p id="filter-fault" class={isBad ? 'note a filter-fault' : 'vh'} role="status">
        {isBad ? `This is no filter: ${faultText(error?.message ?? '')}` : ''}
      </p>
    </form>
  )
}

function Rate({ tail }: { tail: Tail }): JSX.Element {
  const { pausedMs, waiting, skipped } = useCell(tail.view)
  const perSecond = useCell(tail.rate)
  return (
    <span class="q tail-rate r">
      {pausedMs === undefined ? (
        <>
          {rate(perSecond)}
          {skipped === 0 ? null : <>, {count(skipped)} too fast to show</>}
        </>
      ) : (
        <>
          paused at {clock(pausedMs)}, <b>{count(waiting)} new</b>
        </>
      )}
    </span>
  )
}

function Followed({ tail }: { tail: Tail }): JSX.Element {
  const { rows } = useCell(tail.view)
  const hasBegun = useCell(tail.hasBegun)
  const isNarrow = useMedia(NARROW)
  const chosen = useChoice('event')
  const filter = useChoice('filter')
  const ownNode = useOwnNode()
  const names = useStreamNames()
  if (!hasBegun) return <Outline what="events" />
  const place = parseEventName(chosen)
  const known = rows.find(({ key }) => key === chosen)
  const detail = place === undefined ? null : <Detail {...place} known={known?.event} />
  return (
    <div class={isNarrow || detail === null ? 'cols' : 'cols two'}>
      <section class="sheet" aria-label="Events, newest first">
        <div class="head">
          <h2>Newest first</h2>
          <small>all streams that this node has</small>
        </div>
        {isNarrow && known === undefined && detail !== null ? <div class="ev-inside">{detail}</div> : null}
        {rows.length === 0 ? <NoEvents hasFilter={filter !== ''} /> : null}
        <EventList
          rows={rows}
          chosen={chosen}
          ownNode={ownNode}
          names={names}
          onChoose={showEvent}
          inside={isNarrow ? detail : null}
        />
      </section>
      {isNarrow || detail === null ? null : (
        <section class="sheet" aria-label="The chosen event">
          {detail}
        </section>
      )}
    </div>
  )
}

/** Stays the same function, so that rows need not be drawn again. */
function showEvent(key: string): void {
  choose({ event: key })
}

function NoEvents({ hasFilter }: { hasFilter: boolean }): JSX.Element {
  if (hasFilter)
    return <Blank title="No event matches">The filter lets nothing through. New events appear here as they come.</Blank>
  return (
    <Blank title="No event yet" command={`millrace publish -t hello '{"n":1}'`}>
      Events appear here as they are published.
    </Blank>
  )
}
