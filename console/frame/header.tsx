import type { JSX } from 'preact'
import { shortNode } from '../figures/names.js'
import { clock, duration } from '../figures/times.js'
import { useCell } from '../live/cell.js'
import type { LinkState } from '../live/link-state.js'
import { alarmsText, type NodeFacts } from './node-facts.js'
import { chooseTheme, theme } from './theme.js'

/** Node, topic, connection, alarms, theme. */
export function Header(props: {
  facts: NodeFacts | undefined
  state: LinkState
  answeredMs: number | undefined
  nowMs: number
}): JSX.Element {
  const { facts } = props
  const alarms = facts?.alarms ?? []
  return (
    <header class="top">
      <div class="brand">
        <Mark />
        millrace
      </div>
      {facts === undefined ? null : (
        <div class="here">
          <b title={facts.swarm.nodeId}>{shortNode(facts.swarm.nodeId)}</b>
          <br />
          <small>topic {facts.swarm.topic}</small>
        </div>
      )}
      <div class="grow" />
      <div class={props.state === 'live' ? 'live' : 'live off'}>
        <i />
        <span>{lifeText(props)}</span>
      </div>
      {alarms.length === 0 ? null : (
        <a class="btn bell" href="#swarm" aria-label={`${alarmsText(alarms)}, show them`}>
          {alarmsText(alarms)}
        </a>
      )}
      <ThemeButton />
    </header>
  )
}

function lifeText(props: { state: LinkState; answeredMs: number | undefined; nowMs: number }): string {
  const { state, answeredMs, nowMs } = props
  if (state === 'disconnected') return 'not connected'
  if (answeredMs === undefined) return 'connecting'
  return state === 'stale' ? `${duration(nowMs - answeredMs)} old` : `live · ${clock(answeredMs, nowMs)}`
}

function ThemeButton(): JSX.Element {
  const other = useCell(theme) === 'dark' ? 'light' : 'dark'
  return (
    <button
      class="btn"
      type="button"
      aria-label={`Switch to the ${other} theme`}
      onClick={() => {
        chooseTheme(other)
      }}
    >
      {other === 'dark' ? 'Dark' : 'Light'}
    </button>
  )
}

function Mark(): JSX.Element {
  return (
    <svg viewBox="0 0 30 24" aria-hidden="true">
      <path d="M0 4h8v8H0zM11 8h8v8h-8zM22 12h8v8h-8z" fill="var(--data)" />
      <path d="M0 16q5 0 9 3t10 3h11" fill="none" stroke="var(--ink)" stroke-width="2" />
    </svg>
  )
}
