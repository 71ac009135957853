import type { JSX } from 'preact'
import type { SwarmNode } from './nodes.js'

const WIDTH = 460
const HEIGHT = 400
const BOX = { width: 140, height: 60 }

/** More nodes than this are a list. */
export const MOST_ON_MAP = 12

/** The links of this node, which stands in the middle. */
export function LinkMap({ nodes }: { nodes: readonly SwarmNode[] }): JSX.Element {
  const [own, ...others] = nodes
  const name = others.map((node) => `${node.name} ${node.words}`).join('; ')
  const placed = others.map((node, index) => ({ node, ...placeOf(index, others.length) }))
  return (
    <figure class="sheet">
      <figcaption class="head">
        <h2>Links</h2>
        <small>round trip, seen from this node</small>
      </figcaption>
      <svg
        class="map"
        viewBox={`0 0 ${String(WIDTH)} ${String(HEIGHT)}`}
        role="img"
        aria-label={`Links of this node: ${name === '' ? 'none' : name}`}
      >
        {placed.map(({ node, x, y }) => (
          <path
            key={node.key}
            d={`M${String(WIDTH / 2)} ${String(HEIGHT / 2)}L${String(x)} ${String(y)}`}
            {...strokeOf(node)}
          />
        ))}
        {placed.map(({ node, x, y }) => (
          <Box key={node.key} node={node} x={x} y={y} />
        ))}
        {own === undefined ? null : <Box node={own} x={WIDTH / 2} y={HEIGHT / 2} />}
      </svg>
      <Legend />
    </figure>
  )
}

/** On an ellipse; the first one stands to the upper left, as one reads. */
function placeOf(index: number, count: number): { readonly x: number; readonly y: number } {
  const angle = (2 * Math.PI * index) / count - (count <= 2 ? Math.PI / 2 : (3 * Math.PI) / 4)
  const reach = count > 6 && index % 2 === 1 ? 0.97 : 1
  return {
    x: WIDTH / 2 + (WIDTH / 2 - BOX.width / 2 - 6) * reach * Math.cos(angle),
    y: HEIGHT / 2 + (HEIGHT / 2 - BOX.height / 2 - 6) * reach * Math.sin(angle),
  }
}

function strokeOf({ state }: SwarmNode): Readonly<Record<string, string | number>> {
  if (state === 'off') return { stroke: 'var(--line2)', 'stroke-width': 2, 'stroke-dasharray': '2 7' }
  return { stroke: 'var(--data)', 'stroke-width': 3, ...(state === 'slow' ? { 'stroke-dasharray': '14 5' } : {}) }
}

function Box({ node, x, y }: { node: SwarmNode; x: number; y: number }): JSX.Element {
  const isOwn = node.state === 'own'
  return (
    <g class={isOwn ? 'own-node' : ''}>
      <rect
        x={x - BOX.width / 2}
        y={y - BOX.height / 2}
        width={BOX.width}
        height={BOX.height}
        rx={3}
        fill={isOwn ? 'var(--ink)' : 'var(--sheet)'}
        stroke="var(--ink)"
        stroke-width={2}
        {...(node.state === 'off' ? { 'stroke-dasharray': '5 5' } : {})}
      />
      <text x={x} y={y - 3} text-anchor="middle" class="name">
        {short(node.name, 15)}
      </text>
      <text x={x} y={y + 18} text-anchor="middle" class="words">
        {short(node.words, 19)}
      </text>
    </g>
  )
}

/** The list beside it has the whole. */
function short(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`
}

function Legend(): JSX.Element {
  const lines = [
    ['below 10 ms', { stroke: 'var(--data)', 'stroke-width': 3 }],
    ['slower', { stroke: 'var(--data)', 'stroke-width': 3, 'stroke-dasharray': '14 5' }],
    ['no link', { stroke: 'var(--line2)', 'stroke-width': 2, 'stroke-dasharray': '2 7' }],
  ] as const
  return (
    <div class="key">
      {lines.map(([text, stroke]) => (
        <span key={text}>
          <svg width="34" height="8" aria-hidden="true">
            <path d="M0 4h34" {...stroke} />
          </svg>
          {text}
        </span>
      ))}
    </div>
  )
}
