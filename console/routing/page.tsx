import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import type { RouteReport } from '../../client/index.js'
import { choose, useChoice } from '../frame/address.js'
import { useOwnNode } from '../frame/node-facts.js'
import { useCell } from '../live/cell.js'
import { usePolled } from '../live/use-polled.js'
import { Loaded } from '../parts/loaded.js'
import { limitsText } from '../streams/stream-words.js'
import { DraftPanel } from './draft-panel.js'
import { draft, useChecked } from './draft.js'
import { TagExpression } from './tag-expression.js'
import './routing.css'

/** Tags offered as buttons. */
const OFFERED = 24

/** Tags change slowly; milliseconds. */
const TAGS_MS = 60_000

/** Stands for an app when none is named; routes on apps do not match it. */
const ANY_APP = 'com.example.any'

/** "Where would this go, and what if I change it?" */
export function RoutingPage(): JSX.Element {
  return (
    <div class="cols routing-cols">
      <TryTags />
      <DraftPanel />
    </div>
  )
}

/** By the routes in force, or by those of the draft while there is one. */
function TryTags(): JSX.Element {
  const tags = useTags()
  const appId = useChoice('app') || ANY_APP
  const text = useCell(draft)?.text
  const checked = useChecked(text)
  const tried = checked?.report?.errors.length === 0 ? checked.text : undefined
  const key = `route ${appId} ${JSON.stringify(tags)} ${tried ?? ''}`
  const polled = usePolled(key, (client, signal) => client.route(tags, appId, signal, tried))
  return (
    <section class="sheet" aria-label="Routes">
      <div class="head">
        <h2>Where would an event with these tags go?</h2>
        <small>{tried === undefined ? 'by the routes in force' : 'by the draft'}</small>
      </div>
      <div class="pad stack tight">
        <TagButtons tags={tags} />
        <AppField key={appId} appId={appId === ANY_APP ? '' : appId} />
      </div>
      <Loaded polled={polled} what="routes">
        {(report) => (
          <>
            <div class="pad">
              <Answer report={report} />
            </div>
            <Routes report={report} />
          </>
        )}
      </Loaded>
    </section>
  )
}

/** The chosen tags, from the address. */
function useTags(): readonly string[] {
  const text = useChoice('tags')
  if (text === '') return []
  try {
    const tags: unknown = JSON.parse(text)
    return Array.isArray(tags) ? tags.filter((tag: unknown) => typeof tag === 'string').filter((tag) => tag !== '') : []
  } catch {
    return []
  }
}

function chooseTags(tags: readonly string[]): void {
  choose({ tags: tags.length === 0 ? '' : JSON.stringify(tags) })
}

function TagButtons({ tags }: { tags: readonly string[] }): JSX.Element {
  const known = usePolled('tags', (client, signal) => client.tags('', OFFERED, signal), TAGS_MS).value?.tags ?? []
  const offered = [...new Set([...tags, ...known])]
  const [text, setText] = useState('')
  const add = (event: Event): void => {
    event.preventDefault()
    if (text !== '' && !tags.includes(text)) chooseTags([...tags, text])
    setText('')
  }
  return (
    <form class="row" aria-label="Tags of the event" onSubmit={add}>
      {offered.map((tag) => {
        const isChosen = tags.includes(tag)
        return (
          <button
            key={tag}
            class="tag"
            type="button"
            aria-pressed={isChosen}
            onClick={() => {
              chooseTags(isChosen ? tags.filter((other) => other !== tag) : [...tags, tag])
            }}
          >
            {isChosen ? '✓ ' : ''}
            {tag}
          </button>
        )
      })}
      <label class="vh" for="other-tag">
        Another tag
      </label>
      <input
        class="in m other-tag"
        id="other-tag"
        value={text}
        placeholder="other tag"
        autocomplete="off"
        onInput={(event) => {
          setText(event.currentTarget.value)
        }}
      />
      <button class="btn" type="submit" disabled={text === ''}>
        Add
      </button>
    </form>
  )
}

function AppField({ appId }: { appId: string }): JSX.Element {
  const [text, setText] = useState(appId)
  return (
    <form
      class="row"
      onSubmit={(event) => {
        event.preventDefault()
        choose({ app: text.trim() })
      }}
    >
      <label for="app">published by app</label>
      <input
        class="in m other-tag"
        id="app"
        value={text}
        placeholder="any"
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => {
          setText(event.currentTarget.value)
        }}
      />
      <button class="btn" type="submit" disabled={text.trim() === appId}>
        Use
      </button>
    </form>
  )
}

function Answer({ report }: { report: RouteReport }): JSX.Element {
  const ownNode = useOwnNode()
  const limits = report.retention === null ? '' : limitsText(report.retention)
  return (
    <>
      <p class="big" role="status">
        Goes into{' '}
        {report.number === null || ownNode === undefined ? (
          <b>{report.stream}</b>
        ) : (
          <a class="b" href={`#streams?stream=${encodeURIComponent(`${ownNode}-${String(report.number)}`)}`}>
            {report.stream}
          </a>
        )}
        .
      </p>
      <p class="q">
        {report.route === null ? 'No route matches.' : `Route ${String(report.route + 1)} is the first that matches.`}{' '}
        {limits === '' ? 'The stream has no limits: it is kept for ever.' : `Limits of the stream: ${limits}.`}
      </p>
    </>
  )
}

function Routes({ report }: { report: RouteReport }): JSX.Element {
  const tags = new Set(report.tags)
  return (
    <div class="wide" tabIndex={0} role="region" aria-label="Routes in the order in which they are tried">
      <table>
        <thead>
          <tr>
            <th scope="col">route</th>
            <th scope="col">from</th>
            <th scope="col">into</th>
            <th scope="col">result</th>
          </tr>
        </thead>
        <tbody>
          {report.routes.map(({ from, into, matches }, index) => (
            <tr key={index} class={index === report.route ? 'wins' : ''}>
              <td class="q">{index + 1}</td>
              <td>
                <TagExpression text={from} tags={tags} />
              </td>
              <td class="b">{into}</td>
              <td class="nw">{index === report.route ? <b>wins</b> : matches ? 'matches, but later' : 'no match'}</td>
            </tr>
          ))}
          <tr class={report.route === null ? 'wins' : ''}>
            <td class="q">–</td>
            <td class="q">everything else</td>
            <td class="b">default</td>
            <td class="nw">{report.route === null ? <b>wins</b> : 'not asked'}</td>
          </tr>
        </tbody>
      </table>
    </div>
  )
}
