import type { NodeId } from '../../core/index.js'
import type { FailureReason } from '../transport.js'
import { Link, PERFECT_NETWORK, type Carried, type NetworkConditions } from './link.js'
import { MemoryTransport } from './memory-transport.js'
import { SeededRandom } from './seeded-random.js'
import { VirtualTime } from './virtual-time.js'
import type { Wire } from './wire.js'

/**
 * A network of many nodes in one process, in virtual time. One seed decides delays, losses, duplicates, order and who
 * passes broadcasts on to whom; the caller decides partitions and deaths. The same seed and the same calls give the
 * same course, message by message.
 */
export class MemoryNetwork implements Wire<MemoryTransport> {
  readonly time: VirtualTime
  readonly random: SeededRandom
  #conditions: NetworkConditions
  readonly #nodes = new Map<NodeId, MemoryTransport>()
  readonly #links = new Map<NodeId, Map<NodeId, Link>>()
  /** The part of the network in which a node is; nodes that are not named are together in part 0. */
  #parts = new Map<NodeId, number>()

  constructor(seed: number, conditions: Partial<NetworkConditions> = {}, time = new VirtualTime()) {
    this.random = new SeededRandom(seed)
    this.#conditions = { ...PERFECT_NETWORK, ...conditions }
    this.time = time
  }

  get conditions(): NetworkConditions {
    return this.#conditions
  }

  /** Changes the conditions for everything that is sent from now on. */
  change(conditions: Partial<NetworkConditions>): void {
    this.#conditions = { ...this.#conditions, ...conditions }
  }

  /**
   * Starts a node, or starts it again after its death: then it has forgotten everything but keeps its links.
   *
   * @param neighbours with whom it is to be connected; later ones are added by {@link link}
   */
  join(nodeId: NodeId, neighbours: Iterable<NodeId> = this.#nodes.keys()): MemoryTransport {
    if (this.#nodes.has(nodeId)) throw new TypeError(`${nodeId} is in the network already`)
    const wanted = [...neighbours]
    const transport = new MemoryTransport(nodeId, this)
    this.#nodes.set(nodeId, transport)
    for (const link of this.#linksOf(nodeId).values()) this.#refresh(link)
    for (const neighbour of wanted) this.link(nodeId, neighbour)
    return transport
  }

  /** Lets two nodes connect, now and whenever they can. */
  link(one: NodeId, other: NodeId): void {
    if (one === other || this.#linksOf(one).has(other)) return
    const link = new Link(one, other)
    this.#linksOf(one).set(other, link)
    this.#linksOf(other).set(one, link)
    this.#refresh(link)
  }

  /** Cuts the network: nodes of different groups do not reach each other; those in no group are one more group. */
  partition(...groups: readonly (readonly NodeId[])[]): void {
    this.#parts = new Map(groups.flatMap((group, at) => group.map((node) => [node, at + 1] as const)))
    this.#refreshAll()
  }

  /** Ends all partitions. What was sent meanwhile over connections that still stand arrives now. */
  heal(): void {
    this.#parts = new Map()
    for (const link of this.#allLinks()) {
      if (!link.up) continue
      this.time.after(this.random.between(...this.#conditions.delayMs), () => {
        if (this.#passable(link)) link.release()
      })
    }
    this.#refreshAll()
  }

  /** Ends a node at once and without a word, as a power cut does; its neighbours see the connections end. */
  kill(nodeId: NodeId): void {
    const transport = this.#nodes.get(nodeId)
    if (transport === undefined) return
    this.#nodes.delete(nodeId)
    transport.die()
    for (const link of this.#linksOf(nodeId).values()) {
      link.pending?.()
      link.pending = undefined
      if (!link.up) continue
      link.disconnect()
      const neighbour = link.other(nodeId)
      const tell = (): void => {
        if (link.tellEnd !== tell) return
        link.tellEnd = undefined
        this.#nodes.get(neighbour)?.disconnected(nodeId, 'broken-off', 'the connection ended')
      }
      link.tellEnd = tell
      this.time.after(this.random.between(...this.#conditions.delayMs), tell)
    }
  }

  // What transports use.

  /** @internal */
  node(nodeId: NodeId): MemoryTransport | undefined {
    return this.#nodes.get(nodeId)
  }

  /** @internal */
  neighboursOf(nodeId: NodeId): Iterable<NodeId> {
    return this.#linksOf(nodeId).keys()
  }

  /** @internal */
  carry(
    from: NodeId,
    to: NodeId,
    bytes: number,
    kind: 'broadcast' | 'stream',
    arrive: (at: MemoryTransport) => void,
  ): Carried {
    const link = this.#linksOf(from).get(to)
    if (link?.up !== true) return 'dropped'
    const message = {
      bytes,
      stream: kind === 'stream',
      arrive: () => {
        const receiver = this.#nodes.get(to)
        if (receiver !== undefined) arrive(receiver)
      },
    }
    const { time, random, conditions } = this
    return link.carry(from, message, { time, random, conditions, passable: () => this.#passable(link) })
  }

  /** @internal */
  cut(from: NodeId, to: NodeId, untilMs: number): void {
    const link = this.#linksOf(from).get(to)
    if (link === undefined) return
    link.cutUntilMs = Math.max(link.cutUntilMs, untilMs)
    if (link.up) this.#takeDown(link, 'broken-off', 'the connection ended')
    this.#refresh(link)
  }

  #linksOf(nodeId: NodeId): Map<NodeId, Link> {
    let links = this.#links.get(nodeId)
    if (links === undefined) {
      links = new Map()
      this.#links.set(nodeId, links)
    }
    return links
  }

  *#allLinks(): Iterable<Link> {
    for (const [nodeId, links] of this.#links) {
      for (const link of links.values()) if (link.ends[0] === nodeId) yield link
    }
  }

  #refreshAll(): void {
    for (const link of this.#allLinks()) this.#refresh(link)
  }

  #passable({ ends: [one, other] }: Link): boolean {
    return (this.#parts.get(one) ?? 0) === (this.#parts.get(other) ?? 0)
  }

  #possible(link: Link): boolean {
    return link.ends.every((end) => this.#nodes.has(end)) && this.#passable(link)
  }

  /** Starts what has to happen for a link to become what it can be, and stops what no longer should. */
  #refresh(link: Link): void {
    link.pending?.()
    link.pending = undefined
    if (this.#possible(link) === link.up) return
    const { detectMs, redialMs, delayMs } = this.#conditions
    if (link.up) {
      link.pending = this.time.after(detectMs, () => {
        this.#takeDown(link, 'timeout', 'no sign of life')
      })
      return
    }
    const first = link.cutUntilMs === -Infinity && this.#parts.size === 0 ? delayMs : redialMs
    const waitMs = Math.max(link.cutUntilMs - this.time.monotonicMs(), 0) + this.random.between(...first)
    link.pending = this.time.after(waitMs, () => {
      link.pending = undefined
      link.tellEnd?.()
      link.connect()
      for (const end of link.ends) this.#nodes.get(end)?.connected(link.other(end))
    })
  }

  #takeDown(link: Link, reason: FailureReason, message: string): void {
    link.pending = undefined
    link.disconnect()
    for (const end of link.ends) this.#nodes.get(end)?.disconnected(link.other(end), reason, message)
  }
}
