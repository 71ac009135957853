import { createHash } from 'node:crypto'
import type { NodeId } from '../../core/index.js'
import type { MutableCounters } from '../counters.js'
import type { BroadcastValidator, Verdict } from '../transport.js'
import type { Wire } from './wire.js'

/** Neighbours to which broadcasts are passed on: wanted, least and most, as the real network has it. */
export const MESH = { wanted: 6, least: 4, most: 12 } as const
/** How long a message is known, ms. */
const SEEN_MS = 30_000
/** Received bytes that may wait for the validator, per neighbour. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024
/** A sender that awaits its broadcasts is this far ahead of the network at most, ms. */
const LEAD_MS = 20

interface Broadcast {
  readonly id: string
  readonly bytes: Uint8Array
}

interface GossipNode {
  readonly gossip: MemoryGossip
}

/** Broadcasts as gossipsub passes them on: over a mesh, each message once, validated before it goes further. */
export class MemoryGossip {
  readonly #self: NodeId
  readonly #network: Wire<GossipNode>
  readonly #counters: MutableCounters
  readonly #onReject: (from: NodeId) => void
  readonly #mesh = new Set<NodeId>()
  readonly #seen = new Map<string, number>()
  readonly #waiting = new Map<NodeId, { queue: Broadcast[]; bytes: number }>()
  validator: BroadcastValidator | undefined

  constructor(self: NodeId, network: Wire<GossipNode>, counters: MutableCounters, onReject: (from: NodeId) => void) {
    this.#self = self
    this.#network = network
    this.#counters = counters
    this.#onReject = onReject
  }

  get meshSize(): number {
    return this.#mesh.size
  }

  connected(peer: NodeId): void {
    const other = this.#network.node(peer)?.gossip
    if (this.#mesh.size < MESH.wanted && other !== undefined && other.meshSize < MESH.most) this.#graft(peer, other)
  }

  disconnected(peer: NodeId): void {
    this.#mesh.delete(peer)
    this.#waiting.delete(peer)
  }

  /** What the other side of a new edge of the mesh does. */
  grafted(peer: NodeId): void {
    this.#mesh.add(peer)
  }

  async broadcast(bytes: Uint8Array, connected: ReadonlySet<NodeId>): Promise<number> {
    const message = { id: createHash('sha256').update(bytes).digest('base64'), bytes }
    if (!this.#isNew(message.id)) return 0
    this.#repairMesh(connected)
    let sent = 0
    let backlogMs = Infinity
    for (const peer of this.#mesh) {
      const carried = this.#send(peer, message)
      if (carried === undefined) continue
      sent++
      backlogMs = Math.min(backlogMs, carried)
    }
    if (sent > 0 && backlogMs > LEAD_MS) {
      await new Promise<void>((resolve) => this.#network.time.after(backlogMs - LEAD_MS, resolve))
    }
    return sent
  }

  /** A neighbour passed a message on. */
  receive(from: NodeId, message: Broadcast): void {
    this.#counters.receivedMessages++
    this.#counters.receivedBytes += message.bytes.length
    const waiting = this.#waiting.get(from) ?? { queue: [], bytes: 0 }
    if (waiting.bytes + message.bytes.length > MAX_WAITING_BYTES) return
    waiting.queue.push(message)
    waiting.bytes += message.bytes.length
    if (waiting.queue.length > 1) return
    this.#waiting.set(from, waiting)
    void this.#drain(from, waiting)
  }

  async #drain(from: NodeId, waiting: { queue: Broadcast[]; bytes: number }): Promise<void> {
    for (let message = waiting.queue[0]; message !== undefined; message = waiting.queue[0]) {
      await this.#decide(from, message)
      waiting.queue.shift()
      waiting.bytes -= message.bytes.length
    }
  }

  async #decide(from: NodeId, message: Broadcast): Promise<void> {
    if (!this.#isNew(message.id)) {
      this.#counters.duplicates++
      return
    }
    const verdict: Verdict = (await this.validator?.(message.bytes, from).catch(() => 'ignore' as const)) ?? 'ignore'
    if (verdict === 'reject') {
      this.#counters.rejected++
      this.#onReject(from)
    }
    if (verdict !== 'accept') return
    for (const peer of this.#mesh) if (peer !== from) this.#send(peer, message)
  }

  /** @returns the time until the line is free again, or `undefined` when the message was dropped */
  #send(peer: NodeId, message: Broadcast): number | undefined {
    const { length } = message.bytes
    const carried = this.#network.carry(this.#self, peer, length, 'broadcast', (at) => {
      at.gossip.receive(this.#self, message)
    })
    if (carried === 'dropped') {
      this.#counters.dropped++
      return undefined
    }
    this.#counters.sentMessages++
    this.#counters.sentBytes += length
    return carried.backlogMs
  }

  #graft(peer: NodeId, other: MemoryGossip): void {
    this.#mesh.add(peer)
    other.grafted(this.#self)
  }

  #repairMesh(connected: ReadonlySet<NodeId>): void {
    if (this.#mesh.size >= MESH.least || this.#mesh.size === connected.size) return
    const candidates = [...connected].filter((peer) => {
      const other = this.#network.node(peer)?.gossip
      return !this.#mesh.has(peer) && other !== undefined && other.meshSize < MESH.most
    })
    while (this.#mesh.size < MESH.wanted && candidates.length > 0) {
      const [peer] = candidates.splice(Math.floor(this.#network.random.next() * candidates.length), 1)
      const other = peer === undefined ? undefined : this.#network.node(peer)?.gossip
      if (peer !== undefined && other !== undefined) this.#graft(peer, other)
    }
  }

  #isNew(id: string): boolean {
    const nowMs = this.#network.time.monotonicMs()
    for (const [old, seenMs] of this.#seen) {
      if (seenMs > nowMs - SEEN_MS) break
      this.#seen.delete(old)
    }
    if (this.#seen.has(id)) return false
    this.#seen.set(id, nowMs)
    return true
  }
}
