import type { JSX } from 'preact'
import { rate } from '../figures/numbers.js'
import { minute } from '../figures/times.js'
import { HISTORY_MS, type RatePoint } from './rate-history.js'

const WIDTH = 600
const HEIGHT = 72
const LEFT = 64

/** Events per second over the last minutes, as steps: between two readings only their mean is known. */
export function RatePicture({ points, nowMs }: { points: readonly RatePoint[]; nowMs: number }): JSX.Element {
  const most = Math.max(...points.map(({ perSecond }) => perSecond), 0.001)
  const x = (ms: number): string => (LEFT + ((WIDTH - LEFT) * (ms - (nowMs - HISTORY_MS))) / HISTORY_MS).toFixed(1)
  const y = (perSecond: number): string => (HEIGHT - 2 - ((HEIGHT - 16) * perSecond) / most).toFixed(1)
  const steps = points.map(({ fromMs, toMs, perSecond }) => `M${x(fromMs)} ${y(perSecond)}H${x(toMs)}`).join('')
  const greatest = points.length === 0 ? undefined : Math.max(...points.map(({ perSecond }) => perSecond))
  return (
    <figure class="pad">
      <figcaption class="s">events coming in, last 10 minutes as seen by this page</figcaption>
      <svg
        class="rates"
        viewBox={`0 0 ${String(WIDTH)} ${String(HEIGHT + 20)}`}
        role="img"
        aria-label={`At most ${rate(greatest)} in the last 10 minutes`}
      >
        <path d={`M${String(LEFT)} ${String(HEIGHT)}H${String(WIDTH)}`} stroke="var(--line2)" />
        <path d={steps} fill="none" stroke="var(--data)" stroke-width="2.5" />
        {greatest === undefined || greatest === 0 ? null : (
          <text x={LEFT - 8} y={20} text-anchor="end">
            {rate(greatest)}
          </text>
        )}
        <text x={LEFT - 8} y={HEIGHT} text-anchor="end">
          0/s
        </text>
        <text x={LEFT} y={HEIGHT + 16}>
          {minute(nowMs - HISTORY_MS, nowMs)}
        </text>
        <text x={WIDTH} y={HEIGHT + 16} text-anchor="end">
          now
        </text>
      </svg>
    </figure>
  )
}
