import { parseStreamId, type NodeId, type StreamId } from '../../core/index.js'
import type { MissingReport, SwarmReport } from '../../client/index.js'
import { count, UNKNOWN } from '../figures/numbers.js'
import { duration } from '../figures/times.js'
import type { SwarmNode } from './nodes.js'

/** What one node has of one stream. */
export interface MatrixCell {
  readonly look: 'has-all' | 'owner' | 'some' | 'many' | 'more' | 'gap' | 'last-known' | 'unknown'
  /** Shown. */
  readonly text: string
  /** Below it: how far behind, from 30 s on. */
  readonly more: string
  /** Said. */
  readonly words: string
}

/** What the matrix is made of beside the nodes. */
export interface MatrixFacts {
  readonly swarm: SwarmReport
  /** Streams of which nobody who can be asked has all events. */
  readonly gaps: ReadonlySet<StreamId>
}

/** Where a figure changes its colour: the age of the oldest missing event, µs. */
const MANY_MICROS = 30e6
const MORE_MICROS = 600e6

/** A column: one stream, or all of one owner when there are many. */
export interface MatrixColumn {
  readonly key: string
  readonly owner: NodeId
  readonly title: string
  readonly streams: readonly StreamId[]
}

/** More streams than this are put together by owner. */
export const MOST_COLUMNS = 12

/** @param opened the owner whose streams are shown each */
export function columnsOf(
  streams: readonly StreamId[],
  names: ReadonlyMap<StreamId, string>,
  opened: string,
): readonly MatrixColumn[] {
  const parts = streams.map((stream) => ({ stream, ...parseStreamId(stream) }))
  parts.sort((a, b) => (a.nodeId === b.nodeId ? a.number - b.number : a.nodeId < b.nodeId ? -1 : 1))
  const isFolded = (owner: NodeId): boolean => streams.length > MOST_COLUMNS && owner !== opened
  const columns = new Map<string, MatrixColumn>()
  for (const { stream, nodeId, number } of parts) {
    const key = isFolded(nodeId) ? nodeId : stream
    const before = columns.get(key)?.streams ?? []
    const one = names.get(stream) ?? (number === 0 ? 'default' : String(number))
    const title = isFolded(nodeId) ? `${String(before.length + 1)} streams` : one
    columns.set(key, { key, owner: nodeId, title, streams: [...before, stream] })
  }
  return [...columns.values()]
}

export function cellFor(node: SwarmNode, { owner, streams }: MatrixColumn, { swarm, gaps }: MatrixFacts): MatrixCell {
  if (node.id === owner) return { look: 'owner', text: 'owner', more: '', words: 'owner, has all' }
  const { report } = node
  if (report === undefined)
    return missing(
      totalOf(streams, swarm.missing),
      streams.some((stream) => gaps.has(stream)),
    )
  if (report.comparedAt === null) return { look: 'unknown', text: UNKNOWN, more: '', words: 'not known' }
  const total = totalOf(streams, report.missing)
  if (node.state !== 'off') return missing(total, false)
  return {
    look: 'last-known',
    text: count(total.events),
    more: '',
    words: `${count(total.events)} missing when last seen`,
  }
}

/** What is missing of some streams together. */
interface Total {
  readonly events: number
  /** Age of the oldest missing event, µs; `undefined` where it is not known. */
  readonly behind: number | undefined
}

function totalOf(streams: readonly StreamId[], missing: readonly MissingReport[]): Total {
  const found = missing.filter(({ stream }) => streams.includes(stream))
  const ages = found.flatMap(({ behind }) => (behind === null ? [] : [behind]))
  const events = found.reduce((sum, one) => sum + one.missing, 0)
  return { events, behind: ages.length === 0 ? undefined : Math.max(...ages) }
}

function missing({ events, behind }: Total, isGap: boolean): MatrixCell {
  if (events === 0) return { look: 'has-all', text: '0', more: '', words: 'has all' }
  const text = count(events)
  if (isGap) return { look: 'gap', text, more: 'gap', words: `gap, ${text} missing` }
  // How old events are that nobody here has seen is not known: no colour may say that they are new.
  const look = behind === undefined ? 'many' : behind < MANY_MICROS ? 'some' : behind < MORE_MICROS ? 'many' : 'more'
  const more = behind === undefined || behind < MANY_MICROS ? '' : duration(behind / 1000)
  return { look, text, more, words: `${text} missing${more === '' ? '' : `, ${more} behind`}` }
}
