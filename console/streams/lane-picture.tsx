import type { JSX } from 'preact'
import { useId } from 'preact/hooks'
import type { StreamReport } from '../../client/index.js'
import { useWidth } from '../live/use-width.js'
import { laneScale, limitAgeMs } from './lane-scale.js'
import { fillOf, formOf, spanOf, type BlockForm } from './picture/drawn-block.js'
import { Patterns } from './picture/patterns.js'
import type { ShownBlocks } from './picture/shown-blocks.js'

const HEIGHT = 36
const TOP = 6
const BLOCK_HEIGHT = 24
/** The open block is seen also when it has just begun. */
const OPEN_WIDTH = 7

/** A stretch of a lane: a block, or folded ones. */
interface Stretch {
  readonly form: BlockForm
  readonly fromMs: number
  readonly toMs: number
  /** Of the open block: how full it is, from 0 to 1. */
  readonly level: number
}

/** The blocks of a stream along time, in small: how much lies beyond the limit that decides. For the eye only. */
export function LanePicture({
  stream,
  shown,
  nowMs,
}: {
  stream: StreamReport
  shown: ShownBlocks
  nowMs: number
}): JSX.Element {
  const { ref, width } = useWidth(80)
  const id = useId()
  const oldestMs = stream.oldestTimestamp === null ? 0 : nowMs - stream.oldestTimestamp / 1000
  const { line, x } = laneScale(limitAgeMs(stream, nowMs), oldestMs, width)
  const stretches = stretchesOf(shown)
  const gap = stretches.length > 60 ? 0.6 : 1.6
  return (
    <div ref={ref} class="lane-picture">
      <svg height={HEIGHT} viewBox={`0 0 ${String(width)} ${String(HEIGHT)}`} aria-hidden="true">
        <Patterns id={id} />
        {stretches.map((stretch, index) => {
          const from = placeOf(stretch, x(nowMs - stretch.fromMs), width)
          return <Piece key={index} id={id} stretch={stretch} x={from} width={x(nowMs - stretch.toMs) - from - gap} />
        })}
        {line === undefined ? null : (
          <path d={`M${String(line)} 0V${String(HEIGHT)}`} stroke="var(--ink)" stroke-width={2} />
        )}
        {stretches.map(({ form, fromMs, toMs }, index) =>
          form === 'lost' ? <LostSign key={index} x={x(nowMs - (fromMs + toMs) / 2)} /> : null,
        )}
      </svg>
    </div>
  )
}

/** What has just begun is not cut off at the right end. */
function placeOf({ form }: Stretch, x: number, width: number): number {
  return form === 'open' ? Math.min(x, width - OPEN_WIDTH - 1) : x
}

function stretchesOf({ report, fold }: ShownBlocks): readonly Stretch[] {
  const { blocks, open } = report
  const found = blocks.map((block, index) => {
    const level = open === null ? 0 : Math.max(open.events / open.maxEvents, open.payloadBytes / open.maxBytes)
    return { ...spanOf(block, blocks[index - 1], blocks[index + 1]), form: formOf(block), level }
  })
  if (fold === undefined) return found
  const forms = [found[fold.before - 1]?.form ?? 'inside', found[fold.before]?.form ?? 'inside'] as const
  // So many that they could not be told apart.
  const decides = report.decidedBy === null ? null : report.cuts[report.decidedBy]
  const cutMs = Math.min(fold.toMs, Math.max(fold.fromMs, decides === null ? fold.fromMs : decides.time / 1000))
  const folded = [
    { form: forms[0], fromMs: fold.fromMs, toMs: cutMs, level: 0 },
    { form: forms[1], fromMs: cutMs, toMs: fold.toMs, level: 0 },
  ].filter(({ fromMs, toMs }) => toMs > fromMs)
  return [...found.slice(0, fold.before), ...folded, ...found.slice(fold.before)]
}

function Piece({ id, stretch, x, width }: { id: string; stretch: Stretch; x: number; width: number }): JSX.Element {
  const { form, level } = stretch
  if (form === 'open') {
    const filled = Math.min(1, level) * BLOCK_HEIGHT
    const wide = Math.max(OPEN_WIDTH, width)
    return (
      <>
        <rect
          x={x}
          y={TOP + 0.5}
          width={wide}
          height={BLOCK_HEIGHT - 1}
          fill="var(--sheet)"
          stroke="var(--data)"
          stroke-width={1.5}
        />
        <rect
          x={x}
          y={TOP + BLOCK_HEIGHT - filled}
          width={wide}
          height={filled}
          fill="var(--soft)"
          stroke="var(--data)"
        />
      </>
    )
  }
  return (
    <rect
      x={x}
      y={TOP}
      width={Math.max(1, width)}
      height={BLOCK_HEIGHT}
      {...fillOf(form, id)}
      {...(form === 'inside' ? {} : { 'stroke-width': 1 })}
    />
  )
}

function LostSign({ x }: { x: number }): JSX.Element {
  return <path d={`M${String(x - 9)} 0h18l-9 14z`} fill="var(--alarmfill)" stroke="var(--sheet)" />
}
