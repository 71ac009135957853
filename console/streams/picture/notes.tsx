import type { JSX } from 'preact'
import type { BlockReport, BlocksReport } from '../../../client/index.js'
import { count, counted } from '../../figures/numbers.js'
import { duration } from '../../figures/times.js'
import { openLevel } from './block-words.js'
import { fateWords, type DrawnBlock } from './drawn-block.js'
import type { Rows } from './rows.js'
import type { TimeScale } from './time-scale.js'

/** A wider block has its number on it; pixels. */
const NUMBER_WIDTH = 46

/** Pixels of a character, as wide as they come. */
const CHARACTER = 8.2

/** What the forms mean, written where they stand: numbers in the blocks, and below them what goes, stays, is open or lost. */
export function Notes(props: {
  drawn: readonly DrawnBlock[]
  report: BlocksReport
  rows: Rows
  scale: TimeScale
  nowMs: number
}): JSX.Element {
  const { drawn, report, rows, scale, nowMs } = props
  const going = drawn.filter(({ form }) => form === 'goes')
  const held = drawn.find(({ form }) => form === 'held')
  const lost = drawn.filter(({ form }) => form === 'lost')
  const y = rows.bottom + 27
  const texts = placeTexts(
    [
      textBelow(going, goingText(going.length, report.nextPruneAt, nowMs)),
      textBelow(held === undefined ? [] : [held], held === undefined ? '' : heldText(held.block, nowMs)),
    ],
    scale,
  )
  return (
    <g class="notes">
      {drawn.map((one) => (
        <BlockNumber key={one.block.firstOffset} drawn={one} bottom={rows.bottom} />
      ))}
      {going.length === 0 ? null : <Bracket blocks={going} bottom={rows.bottom} />}
      {held === undefined ? null : <Bracket blocks={[held]} bottom={rows.bottom} />}
      {texts.map(({ text, x }) => (
        <text key={text} x={x} y={y}>
          {text}
        </text>
      ))}
      <OpenNote report={report} scale={scale} y={y} from={lastEnd(texts)} />
      {lost.map((one) => (
        <LostFlag key={one.block.firstOffset} drawn={one} rows={rows} isFirst={one === lost[0]} all={lost} />
      ))}
    </g>
  )
}

interface PlacedText {
  readonly text: string
  readonly x: number
}

function textBelow(blocks: readonly DrawnBlock[], text: string): PlacedText | undefined {
  const [first] = blocks
  return first === undefined ? undefined : { text, x: first.x }
}

/** Next to each other where they would cover each other, and inside the picture. */
function placeTexts(texts: readonly (PlacedText | undefined)[], { left, right }: TimeScale): readonly PlacedText[] {
  let end = left
  return texts.flatMap((text) => {
    if (text === undefined) return []
    const width = text.text.length * CHARACTER
    const x = Math.max(end, Math.min(text.x, right - width))
    if (x + width > right) return []
    end = x + width + 16
    return [{ text: text.text, x }]
  })
}

function lastEnd(texts: readonly PlacedText[]): number {
  return Math.max(0, ...texts.map(({ text, x }) => x + text.length * CHARACTER + 16))
}

function goingText(blocks: number, nextPruneAt: number | null, nowMs: number): string {
  const when = nextPruneAt === null ? '' : ` in ${duration(nextPruneAt / 1000 - nowMs)}`
  return `${count(blocks)} ${blocks === 1 ? 'goes' : 'go'}${when}`
}

function heldText(block: BlockReport, nowMs: number): string {
  const { fate } = block
  const words = fateWords(block)
  if (fate === null || !('heldBy' in fate) || fate.until === null) return words
  return words.replace('stays:', `stays ${duration(fate.until / 1000 - nowMs)}:`)
}

function BlockNumber({ drawn, bottom }: { drawn: DrawnBlock; bottom: number }): JSX.Element | null {
  const { block, form, x, width, level } = drawn
  if (block.number === null || form === 'lost' || form === 'open' || width < NUMBER_WIDTH || level < 0.2) return null
  const middle = x + width / 2
  const isPlain = form === 'inside'
  return (
    <>
      {isPlain ? null : <rect x={middle - 20} y={bottom - 25} width={40} height={20} fill="var(--sheet)" />}
      <text x={middle} y={bottom - 10} text-anchor="middle" class={isPlain ? 'on-data' : ''}>
        {count(block.number).slice(-5)}
      </text>
    </>
  )
}

function Bracket({ blocks, bottom }: { blocks: readonly DrawnBlock[]; bottom: number }): JSX.Element {
  const from = blocks[0]?.x ?? 0
  const last = blocks.at(-1)
  const to = last === undefined ? from : last.x + last.width
  return (
    <path
      d={`M${String(from)} ${String(bottom + 6)}v5H${String(to)}v-5`}
      fill="none"
      stroke="var(--ink)"
      stroke-width={1.5}
    />
  )
}

/** How full the open block is; left out where there is no room. */
function OpenNote(props: { report: BlocksReport; scale: TimeScale; y: number; from: number }): JSX.Element | null {
  const { report, scale, y, from } = props
  if (report.open === null) return null
  const isOld = report.blocks.at(-1)?.fate
  const waits = isOld != null && 'heldBy' in isOld && isOld.heldBy === 'notFull' && isOld.old
  const text = `open, ${openLevel(report.open)} full${waits ? ': not full, so it stays' : ''}`
  if (scale.right - text.length * CHARACTER < from) return null
  return (
    <text x={scale.right} y={y} text-anchor="end" class="b">
      {text}
    </text>
  )
}

function LostFlag(props: { drawn: DrawnBlock; rows: Rows; isFirst: boolean; all: readonly DrawnBlock[] }): JSX.Element {
  const { drawn, rows, isFirst, all } = props
  const x = drawn.x + drawn.width / 2
  const events = all.reduce((sum, { block }) => sum + block.events, 0)
  const isLeft = x < 240
  return (
    <>
      <path d={`M${String(x - 11)} ${String(rows.top - 20)}h22l-11 18z`} fill="var(--alarmfill)" />
      {isFirst ? (
        <text x={isLeft ? x + 16 : x - 16} y={rows.top - 6} text-anchor={isLeft ? 'start' : 'end'} class="lost-note">
          gap: {counted(events, 'event')}
        </text>
      ) : null}
    </>
  )
}
