import type { JSX } from 'preact'
import type { Polled } from '../live/poller.js'
import { Failure } from './failure.js'
import { Outline } from './outline.js'

/** Draws what was answered; before that an outline, and in place of a refusal what to do. */
export function Loaded<T>(props: {
  polled: Polled<T>
  /** Such as "streams". */
  what: string
  children: (value: T) => JSX.Element
}): JSX.Element {
  const { polled, what, children } = props
  if (polled.error !== undefined) return <Failure error={polled.error} />
  if (polled.value === undefined) return <Outline what={what} />
  return children(polled.value)
}
