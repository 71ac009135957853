import type { JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import type { EventLine } from '../../client/index.js'
import { counted } from '../figures/numbers.js'
import { day, minute, tick } from '../figures/times.js'
import { useCell } from '../live/cell.js'
import { theme } from '../frame/theme.js'
import { cellOf, hasTime } from './columns.js'

const HEIGHT = 280

/** A column with numbers against the time of the events. */
export function Chart(props: { rows: readonly EventLine[]; column: string; drawn: number }): JSX.Element {
  const { rows, column, drawn } = props
  const host = useRef<HTMLDivElement>(null)
  const chart = useRef<uPlot | undefined>(undefined)
  const look = useCell(theme)
  useEffect(() => {
    const element = host.current
    if (element === null) return undefined
    const plot = new uPlot(optionsFor(column, element.clientWidth), pointsOf(rows, column), element)
    chart.current = plot
    const watcher = new ResizeObserver(() => {
      plot.setSize({ width: element.clientWidth, height: HEIGHT })
    })
    watcher.observe(element)
    return () => {
      watcher.disconnect()
      plot.destroy()
      chart.current = undefined
    }
  }, [column, look, rows])
  useEffect(() => {
    chart.current?.setData(pointsOf(rows, column))
  }, [drawn])
  return (
    <figure class="pad">
      <figcaption class="s">{column} by time of the event</figcaption>
      <div class="chart" ref={host} role="img" aria-label={describe(rows, column)} />
    </figure>
  )
}

/** In words, for those who do not see it. */
function describe(rows: readonly EventLine[], column: string): string {
  const [times, values] = pointsOf(rows, column)
  const numbers = values.filter((value) => value !== null)
  const [first, last] = [times[0], times.at(-1)]
  if (first === undefined || last === undefined || numbers.length === 0) return `${column}: no numbers`
  const least = numbers.reduce((a, b) => Math.min(a, b))
  const most = numbers.reduce((a, b) => Math.max(a, b))
  const span = `from ${minute(first * 1000)} to ${minute(last * 1000)}`
  return `${column}: ${counted(numbers.length, 'number')} from ${String(least)} to ${String(most)}, ${span}`
}

/** Times in seconds, growing; a row without number leaves a hole. */
function pointsOf(rows: readonly EventLine[], column: string): [number[], (number | null)[]] {
  const points = rows.filter(hasTime).map((row) => {
    const value = cellOf(row, column)
    return [row.timestamp / 1e6, typeof value === 'number' ? value : null] as const
  })
  points.sort(([a], [b]) => a - b)
  return [points.map(([time]) => time), points.map(([, value]) => value)]
}

function optionsFor(column: string, width: number): uPlot.Options {
  const style = getComputedStyle(document.documentElement)
  const colour = (name: string): string => style.getPropertyValue(name).trim()
  const font = `13px ${colour('--sans')}`
  const axis: uPlot.Axis = {
    stroke: colour('--ink2'),
    font,
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { stroke: colour('--line2'), width: 1 },
  }
  return {
    width,
    height: HEIGHT,
    legend: { live: false, show: false },
    cursor: { drag: { x: false, y: false } },
    series: [{}, { label: column, stroke: colour('--data'), width: 1.5, points: { size: 7 } }],
    axes: [
      { ...axis, space: 90, values: timeTicks },
      { ...axis, size: 72 },
    ],
  }
}

/** The day stands where it changes. @param splits seconds since 1970, `step` apart */
function timeTicks(_plot: uPlot, splits: number[], _axis: number, _space: number, step: number): string[] {
  let before = ''
  return splits.map((seconds) => {
    const date = day(seconds * 1000)
    const text = date === before ? '' : `\n${date}`
    before = date
    return tick(seconds * 1000, step * 1000) + text
  })
}
