import type { JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import type { BlocksReport, LimitName, Limits } from '../../../client/index.js'
import { bytes, count } from '../../figures/numbers.js'
import { useWidth } from '../../live/use-width.js'
import { limitText } from '../stream-words.js'
import { RateSteps, TimeAxis } from './axes.js'
import { blockFacts, blockName, fateSentence } from './block-words.js'
import { drawBlocks, fillOf, sizeOf, type DrawnBlock, type Height } from './drawn-block.js'
import { FoldMark } from './fold-mark.js'
import { Notes } from './notes.js'
import { Patterns } from './patterns.js'
import { LEFT, rowsFor, type Rows } from './rows.js'
import type { ShownBlocks } from './shown-blocks.js'
import { timeScale, type TimeScale } from './time-scale.js'

const FLAG_HEIGHT = 24

/** The blocks of one stream along time: what goes, what stays though it is old, what is open, what is lost. */
export function BlockPicture(props: {
  name: string
  shown: ShownBlocks
  limits: Limits
  height: Height
  chosen: number | undefined
  nowMs: number
  onChoose: (firstOffset: number) => void
  onOpenFold: () => void
}): JSX.Element {
  const { name, shown, limits, height, chosen, nowMs, onChoose, onOpenFold } = props
  const { report, fold } = shown
  const { ref, width } = useWidth(320)
  const cuts = cutsOf(report)
  const rows = rowsFor(14 + FLAG_HEIGHT * Math.max(1, cuts.length))
  const oldestMs = (report.blocks[0]?.oldestTimestamp ?? nowMs * 1000) / 1000
  const scale = timeScale(oldestMs, nowMs, LEFT, Math.max(LEFT + 1, width - 16), fold)
  const full = fullOf(report, height)
  const drawn = drawBlocks(report.blocks, height, full, scale, fold?.before)
  return (
    <div ref={ref} class="block-picture">
      <svg
        class="pic"
        height={rows.height}
        viewBox={`0 0 ${String(width)} ${String(rows.height)}`}
        role="group"
        aria-label={`Blocks of ${name} along time`}
      >
        <Patterns id="blocks" />
        <Levels rows={rows} scale={scale} full={full} height={height} />
        {drawn.map((one) => (
          <Block
            key={one.block.firstOffset}
            drawn={one}
            rows={rows}
            isChosen={one.block.firstOffset === chosen}
            isFirst={one === drawn[0] && chosen === undefined}
            nowMs={nowMs}
            onChoose={onChoose}
            onStep={(step) => {
              const next = drawn[drawn.indexOf(one) + step]
              if (next !== undefined) onChoose(next.block.firstOffset)
            }}
          />
        ))}
        {fold === undefined ? null : <FoldMark fold={fold} scale={scale} rows={rows} onOpen={onOpenFold} />}
        {cuts.map(({ limit, timeMs }, index) => (
          <Cut
            key={limit}
            text={`${limit} ${limitText(limits, limit)}`}
            x={scale.x(timeMs)}
            y={8 + index * FLAG_HEIGHT}
            rows={rows}
            scale={scale}
            decides={limit === report.decidedBy}
          />
        ))}
        <Notes drawn={drawn} report={report} rows={rows} scale={scale} nowMs={nowMs} />
        <RateSteps report={report} fold={fold} rows={rows} scale={scale} />
        <TimeAxis rows={rows} scale={scale} fold={fold} oldestMs={oldestMs} nowMs={nowMs} />
      </svg>
    </div>
  )
}

/** The limits that cut, that nearest to now first. */
function cutsOf({ cuts }: BlocksReport): readonly { readonly limit: LimitName; readonly timeMs: number }[] {
  const found = (Object.keys(cuts) as LimitName[]).flatMap((limit) => {
    const cut = cuts[limit]
    return cut === null ? [] : [{ limit, timeMs: cut.time / 1000 }]
  })
  return found.sort((a, b) => b.timeMs - a.timeMs)
}

/** The size of a full block: that of the open one, where it is known, or else of the biggest. */
function fullOf({ blocks, open }: BlocksReport, height: Height): number {
  const biggest = Math.max(1, ...blocks.map((block) => sizeOf(block, height)))
  return height === 'events' ? Math.max(biggest, open?.maxEvents ?? 0) : biggest
}

function Levels(props: { rows: Rows; scale: TimeScale; full: number; height: Height }): JSX.Element {
  const { rows, scale, full, height } = props
  return (
    <>
      {[0, 0.5, 1].map((part) => {
        const y = rows.bottom - (rows.bottom - rows.top) * part
        return (
          <g key={part}>
            <path d={`M${String(LEFT - 4)} ${String(y)}H${String(scale.right)}`} stroke="var(--line)" />
            <text x={LEFT - 8} y={y + 4} text-anchor="end" class="q">
              {part === 0 ? '0' : height === 'events' ? count(full * part) : bytes(full * part)}
            </text>
          </g>
        )
      })}
    </>
  )
}

function Block(props: {
  drawn: DrawnBlock
  rows: Rows
  isChosen: boolean
  isFirst: boolean
  nowMs: number
  onChoose: (firstOffset: number) => void
  onStep: (step: 1 | -1) => void
}): JSX.Element {
  const { drawn, rows, isChosen, isFirst, nowMs, onChoose, onStep } = props
  const { block, x, width } = drawn
  const ref = useRef<SVGGElement>(null)
  useEffect(() => {
    // The focus follows the choice, but only where it is in the picture already.
    if (isChosen && document.activeElement?.closest('.block-picture') != null) ref.current?.focus()
  }, [isChosen])
  const press = (event: KeyboardEvent): void => {
    if (event.key === 'ArrowLeft') onStep(-1)
    else if (event.key === 'ArrowRight') onStep(1)
    else if (event.key === 'Enter' || event.key === ' ') onChoose(block.firstOffset)
    else return
    event.preventDefault()
  }
  const height = rows.bottom - rows.top
  return (
    <g
      ref={ref}
      class={isChosen ? 'block chosen' : 'block'}
      tabindex={isChosen || isFirst ? 0 : -1}
      role="button"
      aria-pressed={isChosen}
      aria-label={`${blockName(block)}: ${blockFacts(block, nowMs)}. ${fateSentence(block, nowMs)}`}
      onClick={() => {
        onChoose(block.firstOffset)
      }}
      onKeyDown={press}
    >
      <Shape drawn={drawn} rows={rows} />
      <rect class="reach" x={x - 1} y={rows.top - 2} width={Math.max(10, width + 2)} height={height + 4} />
      <rect class="mark" x={x - 1} y={rows.top - 1} width={Math.max(10, width) + 2} height={height + 2} rx={2} />
    </g>
  )
}

function Shape({ drawn, rows }: { drawn: DrawnBlock; rows: Rows }): JSX.Element {
  const { form, x, width, level } = drawn
  const whole = rows.bottom - rows.top
  const filled = form === 'lost' ? whole : whole * level
  const body = { x, width, y: rows.bottom - filled, height: filled, ...fillOf(form, 'blocks') }
  switch (form) {
    case 'open':
      return (
        <>
          <rect
            x={x}
            width={width}
            y={rows.top}
            height={whole}
            fill="var(--sheet)"
            stroke="var(--data)"
            stroke-width={2}
            stroke-dasharray="5 4"
          />
          <rect {...body} stroke-width={2} />
        </>
      )
    case 'held':
      return <rect {...body} stroke-width={3} />
    default:
      return <rect {...body} stroke-width={form === 'lost' ? 2 : 1.5} />
  }
}

/** Where a limit cuts; the one that decides is filled. */
function Cut(props: {
  text: string
  x: number
  y: number
  rows: Rows
  scale: TimeScale
  decides: boolean
}): JSX.Element | null {
  const { x, y, rows, scale, decides } = props
  if (x < scale.left) return null
  const text = decides ? `${props.text} decides` : props.text
  // What decides is written bold.
  const width = text.length * (decides ? 9.2 : 8.2) + 14
  const from = x + width > scale.right ? x - width : x
  return (
    <g class="cut">
      <path
        d={`M${String(x)} ${String(y)}V${String(rows.bottom + 8)}`}
        stroke="var(--ink)"
        stroke-width={decides ? 3 : 1.5}
        {...(decides ? {} : { 'stroke-dasharray': '2 4' })}
      />
      <rect
        x={from}
        y={y - 6}
        width={width}
        height={20}
        fill={decides ? 'var(--ink)' : 'var(--sheet)'}
        stroke="var(--ink)"
      />
      <text x={from + 7} y={y + 9} class={decides ? 'on-ink' : ''}>
        {text}
      </text>
    </g>
  )
}
