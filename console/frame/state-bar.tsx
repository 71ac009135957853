import type { JSX } from 'preact'
import { clock, duration } from '../figures/times.js'
import type { LinkState } from '../live/link-state.js'

/** Says that the figures are old, or that the daemon does not answer; absent when all is well. */
export function StateBar(props: {
  state: LinkState
  answeredMs: number | undefined
  nextTryMs: number | undefined
  nowMs: number
  onTry: () => void
}): JSX.Element | null {
  const { state, answeredMs, nextTryMs, nowMs, onTry } = props
  if (state === 'live' || state === 'loading') return null
  const seen =
    answeredMs === undefined ? 'Nothing was answered yet.' : `What you see is from ${clock(answeredMs, nowMs)}.`
  if (state === 'stale') {
    return (
      <div class="state-bar" role="alert">
        <b>Figures are old.</b>
        <span class="grow">The daemon takes long to answer. {seen}</span>
        <span aria-hidden="true">{duration(nowMs - (answeredMs ?? nowMs))}</span>
      </div>
    )
  }
  return (
    <div class="state-bar">
      <b role="alert">No answer from the daemon.</b>
      <span class="grow">
        {seen} {nextTryMs === undefined ? 'Trying now.' : `Next try in ${duration(nextTryMs - nowMs)}.`}
      </span>
      <button class="btn" type="button" onClick={onTry}>
        Try now
      </button>
    </div>
  )
}
