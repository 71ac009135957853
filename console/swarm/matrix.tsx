import type { JSX } from 'preact'
import { shortNode } from '../figures/names.js'
import { choose, useChoice } from '../frame/address.js'
import { cellFor, columnsOf, MOST_COLUMNS, type MatrixColumn, type MatrixFacts } from './matrix-cells.js'
import type { SwarmNode } from './nodes.js'

/** Nodes shown each; of more, those that have all are put together. */
const MOST_ROWS = 12

/** Who has what of whom. */
export function Matrix({ nodes, facts }: { nodes: readonly SwarmNode[]; facts: MatrixFacts }): JSX.Element {
  const { nodeId: own, streams } = facts.swarm
  const opened = useChoice('owner')
  const ids = streams.map(({ stream }) => stream)
  const names = new Map(streams.flatMap(({ stream, name }) => (name === null ? [] : [[stream, name] as const])))
  const columns = columnsOf(ids, names, opened)
  const { shown, folded } = fold(nodes, columns, facts)
  return (
    <section class="sheet" aria-label="Who has what">
      <div class="head">
        <h2>Who has what</h2>
        <small>events still missing on each node, and how far it is behind</small>
      </div>
      <div class="wide" tabIndex={0} role="region" aria-label="Matrix of nodes and streams">
        <table class="mx">
          <thead>
            <tr>
              <td />
              {ownersOf(columns).map(([owner, span]) => (
                <th key={owner} class="g" colSpan={span} scope="colgroup">
                  {owner === own ? 'this node' : shortNode(owner)}
                </th>
              ))}
            </tr>
            <tr>
              <td />
              {columns.map((column) => (
                <th key={column.key} scope="col">
                  {column.streams.length > 1 && ids.length > MOST_COLUMNS ? (
                    <button
                      class="btn"
                      type="button"
                      onClick={() => {
                        choose({ owner: column.owner })
                      }}
                    >
                      {column.title}
                    </button>
                  ) : (
                    column.title
                  )}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((node) => (
              <tr key={node.key}>
                <th scope="row">
                  {node.name}
                  <small>{node.words}</small>
                </th>
                {columns.map((column) => {
                  const { look, text, more, words } = cellFor(node, column, facts)
                  return (
                    <td
                      key={column.key}
                      class={look}
                      aria-label={`${column.title} of ${shortNode(column.owner)}: ${words}`}
                    >
                      {text}
                      {more === '' ? null : <small>{more}</small>}
                    </td>
                  )
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {folded === 0 ? null : <p class="pad q">{folded} nodes have all.</p>}
      <div class="key">
        {KEYS.map(([look, text]) => (
          <span key={look}>
            <i class={`mx-key ${look}`} />
            {text}
          </span>
        ))}
      </div>
    </section>
  )
}

const KEYS = [
  ['has-all', 'has all'],
  ['some', 'below 30 s'],
  ['many', 'below 10 min, or not known'],
  ['more', 'more'],
  ['gap', 'gap'],
  ['last-known', 'last known, node is off'],
] as const

/** Owners in the order of their columns, with how many each has. */
function ownersOf(columns: readonly MatrixColumn[]): readonly (readonly [owner: string, span: number])[] {
  const spans = new Map<string, number>()
  for (const { owner } of columns) spans.set(owner, (spans.get(owner) ?? 0) + 1)
  return [...spans]
}

/** Of many nodes those that have all are only counted. */
function fold(
  nodes: readonly SwarmNode[],
  columns: readonly MatrixColumn[],
  facts: MatrixFacts,
): { readonly shown: readonly SwarmNode[]; readonly folded: number } {
  if (nodes.length <= MOST_ROWS) return { shown: nodes, folded: 0 }
  const hasAll = (node: SwarmNode): boolean =>
    columns.every((column) => ['has-all', 'owner'].includes(cellFor(node, column, facts).look))
  const shown = nodes.filter((node) => node.state === 'own' || !hasAll(node))
  return { shown, folded: nodes.length - shown.length }
}
