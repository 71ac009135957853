import type { ComponentChildren, JSX } from 'preact'
import { Fragment } from 'preact'
import { memo } from 'preact/compat'
import { millis } from '../figures/times.js'
import { streamWords } from '../figures/names.js'
import type { Row } from './row.js'

/** Tags shown in the list. */
const MOST_TAGS = 8

/** Events, newest first. @param props.inside what stands below the chosen one, on narrow screens */
export function EventList(props: {
  rows: readonly Row[]
  chosen: string
  ownNode: string | undefined
  names: ReadonlyMap<string, string>
  onChoose: (key: string) => void
  inside: ComponentChildren
}): JSX.Element {
  const { rows, chosen, ownNode, names, onChoose, inside } = props
  return (
    <>
      {rows.map((row) => (
        <Fragment key={row.key}>
          <ListRow
            row={row}
            isChosen={row.key === chosen}
            ownNode={ownNode}
            name={names.get(row.event.stream)}
            onChoose={onChoose}
          />
          {row.key === chosen && inside !== null ? <div class="ev-inside">{inside}</div> : null}
        </Fragment>
      ))}
    </>
  )
}

interface ListRowProps {
  row: Row
  isChosen: boolean
  ownNode: string | undefined
  name: string | undefined
  onChoose: (key: string) => void
}

/** Most rows stay as they are when new ones come. */
const ListRow = memo(function ListRow({ row, isChosen, ownNode, name, onChoose }: ListRowProps): JSX.Element {
  const { event } = row
  const stream = streamWords(event.stream, ownNode, name)
  return (
    <button
      class="ev"
      type="button"
      aria-pressed={isChosen}
      onClick={() => {
        onChoose(row.key)
      }}
    >
      <span class="nw">{millis(event.timestamp)}</span>
      <span class="ev-stream">
        {stream.name}
        <small>{stream.owner}</small>
      </span>
      <span class="ev-what">
        {event.tags.slice(0, MOST_TAGS).map((tag) => (
          <span key={tag} class="tag">
            {tag}
          </span>
        ))}
        {event.tags.length > MOST_TAGS ? <small>+{event.tags.length - MOST_TAGS}</small> : null}
        <span class="p">{row.preview}</span>
      </span>
    </button>
  )
})
