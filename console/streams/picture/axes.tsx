import type { JSX } from 'preact'
import type { BlocksReport } from '../../../client/index.js'
import { rate } from '../../figures/numbers.js'
import { clock, minute } from '../../figures/times.js'
import { LEFT, type Rows } from './rows.js'
import type { Fold } from './shown-blocks.js'
import { ticks, type TimeScale } from './time-scale.js'

const RATE_HEIGHT = 26
const MINUTE_MS = 60_000

/** Events per second of each block, on the same axis. */
export function RateSteps(props: {
  report: BlocksReport
  fold: Fold | undefined
  rows: Rows
  scale: TimeScale
}): JSX.Element | null {
  const { report, rows, scale } = props
  const steps = report.blocks.flatMap(({ events, oldestTimestamp, newestTimestamp }) => {
    if (oldestTimestamp === null || newestTimestamp === null || newestTimestamp <= oldestTimestamp) return []
    const perSecond = (events * 1e6) / (newestTimestamp - oldestTimestamp)
    return [{ fromMs: oldestTimestamp / 1000, toMs: newestTimestamp / 1000, perSecond }]
  })
  if (steps.length === 0) return null
  const most = Math.max(...steps.map(({ perSecond }) => perSecond))
  const ground = String(rows.rate)
  const path = steps.map(({ fromMs, toMs, perSecond }) => {
    const y = (rows.rate - (RATE_HEIGHT * perSecond) / most).toFixed(1)
    return `M${scale.x(fromMs).toFixed(1)} ${ground}V${y}H${scale.x(toMs).toFixed(1)}V${ground}`
  })
  return (
    <>
      <path d={path.join('')} fill="var(--soft)" stroke="var(--data)" stroke-width={1.5} />
      <text x={LEFT - 8} y={rows.rate - 16} text-anchor="end" class="q">
        {rate(most)}
      </text>
      <text x={LEFT - 8} y={rows.rate + 3} text-anchor="end" class="q">
        0/s
      </text>
    </>
  )
}

/** Times below the picture. */
export function TimeAxis(props: {
  rows: Rows
  scale: TimeScale
  fold: Fold | undefined
  oldestMs: number
  nowMs: number
}): JSX.Element {
  const { rows, scale, fold, oldestMs, nowMs } = props
  const most = scale.right - scale.left < 840 ? 5 : 8
  const parts =
    fold === undefined
      ? [ticks(oldestMs, nowMs, most)]
      : [ticks(oldestMs, fold.fromMs, most / 3), ticks(fold.toMs, nowMs, most / 3)]
  const times = parts.flatMap((part) => part.times.map((ms) => ({ ms, stepMs: part.stepMs })))
  return (
    <>
      <path d={`M${String(LEFT)} ${String(rows.rate)}H${String(scale.right)}`} stroke="var(--line2)" />
      {times
        .filter(({ ms }) => scale.right - scale.x(ms) > 60)
        .map(({ ms, stepMs }) => (
          <g key={ms}>
            <path d={`M${String(scale.x(ms))} ${String(rows.rate)}v5`} stroke="var(--line2)" />
            <text x={Math.max(LEFT, scale.x(ms))} y={rows.rate + 20} text-anchor="middle" class="q">
              {stepMs < MINUTE_MS ? clock(ms, nowMs) : minute(ms, nowMs)}
            </text>
          </g>
        ))}
      <text x={scale.right} y={rows.rate + 20} text-anchor="end" class="b">
        now
      </text>
    </>
  )
}
