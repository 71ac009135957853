import type { StreamId } from '../../core/index.js'
import { readAll } from '../support/store.js'
import type { SimulatedNode } from './simulated-node.js'

type Nodes = readonly SimulatedNode[]
type Gone = ReadonlySet<SimulatedNode>

/** Streams that have two histories somewhere: what is held of them differs for ever. */
function frozenStreams(nodes: Nodes): ReadonlySet<StreamId> {
  const streams = nodes.flatMap(({ store }) => store?.replicas.list() ?? [])
  return new Set(streams.flatMap(({ stream, frozen }) => (frozen === undefined ? [] : [stream])))
}

/** Whether a stream goes to others. */
function isShared(stream: StreamId): boolean {
  return Number(stream.slice(stream.lastIndexOf('-') + 1)) % 65_536 !== 3
}

/** What keeps the nodes from being the same, as far as can be told without reading. */
export function obstacle(nodes: Nodes, gone: Gone): string | undefined {
  const living = nodes.filter((node) => !gone.has(node))
  for (const { isUp, name } of living) if (!isUp) return `${name} is down`
  const frozen = frozenStreams(living)
  const known = new Map<StreamId, { text: string; name: string; count: number }>()
  for (const { name, store, replicator } of living) {
    for (const stream of replicator?.toReplicate().keys() ?? []) {
      if (!frozen.has(stream)) return `${name} lacks events of ${stream}`
    }
    for (const { stream, nextOffset, hash } of store?.replicas.list() ?? []) {
      if (frozen.has(stream) || !isShared(stream)) continue
      const text = `${String(nextOffset)} ${hash.toString('hex').slice(0, 8)}`
      const first = known.get(stream)
      if (first === undefined) known.set(stream, { text, name, count: 1 })
      else if (first.text !== text) return `${stream}: ${first.name} has ${first.text}, ${name} ${text}`
      else first.count++
    }
  }
  for (const [stream, { count, name }] of known) {
    if (count < living.length) return `${stream}: only ${String(count)} know it, such as ${name}`
  }
  return undefined
}

/** Holds the nodes against each other and against what their publishers were told, once they agree. */
export async function judge(nodes: Nodes, gone: Gone): Promise<readonly string[]> {
  const living = nodes.filter((node) => !gone.has(node))
  const frozen = frozenStreams(living)
  const faults: string[] = []
  const seen = new Map<string, string>()
  for (const { name, store } of living) {
    if (store === undefined) continue
    const { problems } = store.health
    if (problems.length > 0) faults.push(`${name} is not well: ${problems.join('; ')}`)
    const events = await readAll(store)
    checkOrder(name, events, faults)
    for (const event of events) {
      const key = `${event.stream} ${String(event.offset)}`
      const text = JSON.stringify(event)
      if (frozen.has(event.stream)) continue
      if ((seen.get(key) ?? text) !== text) faults.push(`${name} has another event at ${key}`)
      seen.set(key, text)
    }
  }
  return faults
}

function checkOrder(
  name: string,
  events: readonly { readonly lamport: number; readonly stream: string; readonly offset: number }[],
  faults: string[],
): void {
  const next = new Map<StreamId, number>()
  const ofNode = new Set<string>()
  let before = { lamport: -1, stream: '' }
  for (const event of events) {
    const { lamport, stream, offset } = event
    if (lamport < before.lamport || (lamport === before.lamport && stream <= before.stream)) {
      faults.push(`${name} delivers ${stream} ${String(offset)} out of order`)
    }
    before = event
    const expected = next.get(stream)
    if (expected !== undefined && expected !== offset)
      faults.push(`${name} has a hole in ${stream} before ${String(offset)}`)
    next.set(stream, offset + 1)
    const stamp = `${stream.slice(0, 43)} ${String(lamport)}`
    if (ofNode.has(stamp)) faults.push(`${name} has two events with the lamport ${stamp}`)
    ofNode.add(stamp)
  }
}
