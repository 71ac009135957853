import { compareStreamIds, parseStreamId, type StreamId } from '../../core/index.js'
import { contradictionBetween, readStatement, type ReplicaStatus } from '../../storage/index.js'
import { readAll, type PlainEvent } from '../support/store.js'
import { NAMES, type SimulatedNode } from './simulated-node.js'

/** All nodes of a simulation when it is over. */
export interface Swarm {
  readonly nodes: readonly SimulatedNode[]
  /** Whose machines are gone for good. */
  readonly gone: ReadonlySet<SimulatedNode>
  /** What nodes held of streams whose owners left or went back to a copy at that moment. */
  readonly leftBehind: readonly LeftBehind[]
}

export interface LeftBehind {
  readonly stream: StreamId
  readonly nextOffset: number
  readonly holder: SimulatedNode
}

/** Numbers of streams within an epoch. */
const EPOCH_SIZE = 65_536

function nameOf(stream: StreamId): string {
  return NAMES[parseStreamId(stream).number % EPOCH_SIZE] ?? ''
}

function livingOf({ nodes, gone }: Swarm): readonly SimulatedNode[] {
  return nodes.filter((node) => !gone.has(node))
}

/** Streams that have two histories somewhere: what is held of them differs for ever. */
function frozenStreams(nodes: readonly SimulatedNode[]): ReadonlySet<StreamId> {
  const streams = nodes.flatMap(({ store }) => store?.replicas.list() ?? [])
  return new Set(streams.flatMap(({ stream, frozen }) => (frozen === undefined ? [] : [stream])))
}

/** Those of them of which somebody has what shows it to everybody, also to those who hold nothing. */
function shownForks(nodes: readonly SimulatedNode[]): ReadonlySet<StreamId> {
  const proofs = nodes.flatMap(({ store }) => store?.replicas.forks() ?? [])
  return new Set(
    proofs.flatMap(({ stream, statements }) => {
      const [one, other] = statements.map((statement) => readStatement('sim', statement))
      if (one === undefined || other === undefined) return []
      return contradictionBetween(one, other) === undefined ? [] : [stream]
    }),
  )
}

/** What keeps the nodes from being the same, as far as can be told without reading. */
export function obstacle(swarm: Swarm): string | undefined {
  const living = livingOf(swarm)
  for (const { isUp, name } of living) if (!isUp) return `${name} is down`
  const frozen = frozenStreams(living)
  const shown = shownForks(living)
  const streams = new Map<StreamId, [SimulatedNode, ReplicaStatus][]>()
  for (const node of living) {
    if (node.replicasOf().some(({ own, frozen }) => own && frozen !== undefined)) return `${node.name} has to decide`
    for (const stream of node.replicator?.toReplicate().keys() ?? []) {
      if (frozen.has(stream)) continue
      // Nobody who remains may have them: then the operator is told, and that is all.
      const isLost = node.replicator?.stuck().some((stuck) => stuck.stream === stream) === true
      if (!isLost || !mayBeLost(swarm, stream)) return `${node.name} lacks events of ${stream}`
    }
    for (const status of node.replicasOf()) {
      const { stream } = status
      const isUnaware = shown.has(stream) && status.frozen === undefined && nameOf(stream) !== 'private'
      if (isUnaware) return `${node.name} has not heard that ${stream} has two histories`
      if (frozen.has(stream) || nameOf(stream) === 'private') continue
      streams.set(stream, [...(streams.get(stream) ?? []), [node, status]])
    }
  }
  for (const [stream, held] of streams) {
    const reachable = held.filter(([, status]) => !isOutOfReach(swarm, stream, endOf(status)))
    const found = held.length < living.length ? `${stream} is not known everywhere` : differenceOf(reachable)
    if (found !== undefined) return found
  }
  return undefined
}

/** Whether a stream's owner is gone, or has lost events and goes on in a new epoch. */
function mayBeLost({ nodes, gone }: Swarm, stream: StreamId): boolean {
  return nodes.some((node) => stream.startsWith(node.nodeId) && (gone.has(node) || node.restored))
}

/**
 * Whether nobody who remains has what comes next: its owner is gone or has lost it, and those who have what follows keep
 * less than all, by limits of their own.
 */
function isOutOfReach(swarm: Swarm, stream: StreamId, nextOffset: number): boolean {
  const further = livingOf(swarm).flatMap(({ settings, store }) => {
    const status = store?.replicas.status(stream)
    if (status === undefined || status.nextOffset <= nextOffset) return []
    return [settings.keep.has(nameOf(stream)) ? status.firstOffset : 0]
  })
  return mayBeLost(swarm, stream) && further.length > 0 && further.every((firstOffset) => firstOffset > nextOffset)
}

function differenceOf(held: readonly (readonly [SimulatedNode, ReplicaStatus])[]): string | undefined {
  const [first] = held
  if (first === undefined) return undefined
  const [one, reference] = first
  const { stream } = reference
  const ofOwner = held.find(([, { own }]) => own)
  const unlimited = held.filter(([{ settings, nodeId }]) => {
    return !settings.keep.has(nameOf(stream)) || stream.startsWith(nodeId)
  })
  const begins = unlimited.map(([, status]) => beginOf(status))
  for (const [node, status] of held) {
    const { nextOffset, hash, firstOffset, head, unsignedFrom } = status
    const isSame = nextOffset !== reference.nextOffset || hash.equals(reference.hash)
    if (endOf(status) !== endOf(reference) || !isSame) {
      return `${stream}: ${one.name} is at ${reference.nextOffset}, ${node.name} at ${nextOffset}, or the hashes differ`
    }
    if (head !== undefined && firstOffset < head.firstOffset && firstOffset < nextOffset) {
      return `${stream}: ${node.name} keeps what its owner has pruned`
    }
    if (ofOwner !== undefined && head !== undefined && unsignedFrom !== undefined && unsignedFrom < head.blockOffset) {
      return `${stream}: ${node.name} lacks signatures of blocks`
    }
  }
  return begins.some((begin) => begin !== begins[0]) ? `${stream} begins at ${begins.join(', ')}` : undefined
}

/** Who holds nothing but what is pruned is at the begin of what is left. */
function endOf({ own, nextOffset, head }: ReplicaStatus): number {
  return own ? nextOffset : Math.max(nextOffset, head?.firstOffset ?? 0)
}

function beginOf({ own, firstOffset, head }: ReplicaStatus): number {
  return own ? firstOffset : Math.max(firstOffset, head?.firstOffset ?? 0)
}

/** Holds the nodes against each other and against what their publishers were told, once they agree. */
export async function judge(swarm: Swarm): Promise<readonly string[]> {
  const living = livingOf(swarm)
  const frozen = frozenStreams(living)
  const restored = swarm.nodes.filter((node) => node.restored)
  const faults: string[] = []
  for (const stream of frozen) {
    if (!restored.some(({ nodeId }) => stream.startsWith(nodeId))) faults.push(`${stream} is frozen without a reason`)
  }
  const seen = new Map<string, string>()
  for (const node of living) {
    if (node.store === undefined) continue
    const events = await readAll(node.store)
    checkHealth(node, frozen, faults)
    checkPrivacy(node, faults)
    checkOrder(node, events, restored, faults)
    if (!node.restored) checkAcknowledged(node, events, frozen, faults)
    const blocks = await blocksOf(node)
    for (const [key, text] of [...events.map(keyed), ...blocks]) {
      if (frozen.has(key.slice(0, key.indexOf(' ')))) continue
      if ((seen.get(key) ?? text) !== text) faults.push(`${node.name} has something else at ${key}`)
      seen.set(key, text)
    }
  }
  checkLeftBehind(swarm, frozen, faults)
  return faults
}

function keyed(event: PlainEvent): [string, string] {
  return [`${event.stream} ${event.offset}`, JSON.stringify(event)]
}

/** Sealed blocks by their ends. */
async function blocksOf({ store }: SimulatedNode): Promise<[string, string][]> {
  const blocks: [string, string][] = []
  for (const { stream } of store?.replicas.list() ?? []) {
    for (const seal of (await store?.replicas.readSeals(stream, 0, 10_000)) ?? []) {
      const signature = Buffer.from(seal.signature).toString('base64')
      blocks.push([`${stream} block before ${seal.nextOffset}`, `${seal.firstOffset} ${signature}`])
    }
  }
  return blocks
}

function checkHealth({ name, store }: SimulatedNode, frozen: ReadonlySet<StreamId>, faults: string[]): void {
  for (const problem of store?.health.problems ?? []) {
    const isFork = [...frozen].some((stream) => problem.includes(stream))
    if (!isFork && !problem.includes('clock jumped')) faults.push(`${name} is not well: ${problem}`)
  }
}

function checkPrivacy({ name, nodeId, store }: SimulatedNode, faults: string[]): void {
  for (const { stream } of store?.replicas.list() ?? []) {
    if (nameOf(stream) === 'private' && !stream.startsWith(nodeId)) faults.push(`${name} knows of a private ${stream}`)
  }
}

function checkAcknowledged(
  { name, acknowledged, store }: SimulatedNode,
  events: readonly PlainEvent[],
  frozen: ReadonlySet<StreamId>,
  faults: string[],
): void {
  const held = new Map(events.map((event) => [`${event.stream} ${event.offset}`, event]))
  for (const { publication, payload } of acknowledged) {
    const { stream, offset, lamport } = publication
    if (frozen.has(stream) || offset < (store?.replicas.status(stream)?.firstOffset ?? 0)) continue
    const event = held.get(`${stream} ${offset}`)
    if (event?.payload !== payload || event.lamport !== lamport) {
      faults.push(`${name} has lost ${payload}, which it acknowledged as ${stream} ${offset}`)
    }
  }
}

function checkOrder(
  { name }: SimulatedNode,
  events: readonly PlainEvent[],
  restored: readonly SimulatedNode[],
  faults: string[],
): void {
  const next = new Map<StreamId, number>()
  const stamps = new Set<string>()
  let before: PlainEvent | undefined
  for (const event of events) {
    const { lamport, stream, offset } = event
    if (before !== undefined && (lamport - before.lamport || compareStreamIds(stream, before.stream)) <= 0) {
      faults.push(`${name} delivers ${stream} ${offset} out of order`)
    }
    before = event
    const expected = next.get(stream)
    if (expected !== undefined && expected !== offset) faults.push(`${name} has a hole in ${stream} before ${offset}`)
    next.set(stream, offset + 1)
    const { nodeId } = parseStreamId(stream)
    // Who lost what it wrote may write a lamport again, in another stream, before it hears of that.
    if (restored.some((node) => node.nodeId === nodeId)) continue
    const stamp = `${nodeId} ${lamport}`
    if (stamps.has(stamp)) faults.push(`${name} has two events of one node with the lamport ${lamport}`)
    stamps.add(stamp)
  }
}

function checkLeftBehind(swarm: Swarm, frozen: ReadonlySet<StreamId>, faults: string[]): void {
  const { nodes, gone, leftBehind } = swarm
  for (const { stream, nextOffset, holder } of leftBehind) {
    if (frozen.has(stream) || gone.has(holder) || holder.restored) continue
    for (const node of nodes) {
      const status = node.store?.replicas.status(stream)
      const reached = status === undefined ? 0 : endOf(status)
      if (!gone.has(node) && reached < nextOffset && !isOutOfReach(swarm, stream, reached)) {
        faults.push(`${node.name} lacks ${stream} from ${reached} on; ${holder.name} had it up to ${nextOffset}`)
      }
    }
  }
}
