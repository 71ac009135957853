import type { JSX } from 'preact'
import { count } from '../../figures/numbers.js'
import type { Rows } from './rows.js'
import type { Fold } from './shown-blocks.js'
import type { TimeScale } from './time-scale.js'

/** Stands for the blocks in the middle that are not drawn. */
export function FoldMark(props: { fold: Fold; scale: TimeScale; rows: Rows; onOpen: () => void }): JSX.Element {
  const { fold, scale, rows, onOpen } = props
  const { left, right } = scale.fold ?? scale
  return (
    <g class="fold" onClick={onOpen}>
      <rect
        x={left}
        y={rows.top}
        width={right - left}
        height={rows.bottom - rows.top}
        fill="var(--sunk)"
        stroke="var(--line2)"
        stroke-dasharray="2 4"
      />
      <text x={(left + right) / 2} y={(rows.top + rows.bottom) / 2} text-anchor="middle">
        … {fold.blocks === undefined ? 'more' : count(fold.blocks)} blocks …
      </text>
    </g>
  )
}
