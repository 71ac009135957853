import type { NodeId } from '../../core/index.js'
import type { SwarmNodeReport, SwarmReport } from '../../client/index.js'
import { shortNode } from '../figures/names.js'
import { milliseconds } from '../figures/numbers.js'
import { minute } from '../figures/times.js'

/** A node of the swarm as the page shows it. */
export interface SwarmNode {
  readonly id: NodeId | undefined
  readonly key: string
  readonly name: string
  /** `own`: this node. `slow`: connected, but answers late. `off`: no link. */
  readonly state: 'own' | 'on' | 'slow' | 'off'
  /** Such as "1.2 ms" or "off since 14:02". */
  readonly words: string
  /** Absent for this node. */
  readonly report: SwarmNodeReport | undefined
}

/** Round trips above this are called slow; milliseconds. */
const SLOW_MS = 10

/** This node first, then those with a link, then the others; each group in a fixed order. */
export function nodesOf({ nodeId, nodes }: SwarmReport, nowMs: number): readonly SwarmNode[] {
  const own: SwarmNode = {
    id: nodeId,
    key: nodeId,
    name: shortNode(nodeId),
    state: 'own',
    words: 'this node',
    report: undefined,
  }
  const others = nodes.map((report) => nodeOf(report, nowMs))
  const rank = ({ state }: SwarmNode): number => (state === 'off' ? 1 : 0)
  return [own, ...others.sort((a, b) => rank(a) - rank(b) || (a.key < b.key ? -1 : 1))]
}

function nodeOf(report: SwarmNodeReport, nowMs: number): SwarmNode {
  const [address = 'unknown address'] = report.addresses
  return {
    id: report.nodeId ?? undefined,
    key: report.nodeId ?? address,
    name: report.nodeId === null ? address : shortNode(report.nodeId),
    state: stateOf(report),
    words: wordsFor(report, nowMs),
    report,
  }
}

function stateOf({ state, roundTripMs }: SwarmNodeReport): SwarmNode['state'] {
  if (state !== 'connected') return 'off'
  return roundTripMs !== null && roundTripMs >= SLOW_MS ? 'slow' : 'on'
}

function wordsFor({ state, since, roundTripMs, nodeId }: SwarmNodeReport, nowMs: number): string {
  switch (state) {
    case 'connected':
      return roundTripMs === null ? 'connected' : milliseconds(roundTripMs)
    case 'connecting':
      return 'connecting'
    case 'cut':
      return `cut off since ${minute(since / 1000, nowMs)}`
    case 'waiting':
      return nodeId === null ? 'never answered' : `off since ${minute(since / 1000, nowMs)}`
  }
}

/** The answer of the page in a few words. */
export function verdict(nodes: readonly SwarmNode[], isSwarm: boolean, alarms: number): string {
  const on = nodes.filter(({ state }) => state !== 'off').length
  const tail = alarms === 0 ? '' : `, ${String(alarms)} alarm${alarms === 1 ? '' : 's'}`
  if (!isSwarm) return `This node is alone${tail}`
  if (nodes.length === 1) return `No other node yet${tail}`
  return on === nodes.length
    ? `All ${String(on)} nodes on${tail}`
    : `${String(on)} of ${String(nodes.length)} nodes on${tail}`
}
