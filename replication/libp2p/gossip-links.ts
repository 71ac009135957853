import type { GossipSubComponents } from '@chainsafe/libp2p-gossipsub'
import type { Connection, IncomingStreamData, PeerId, Stream, Topology } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import type { NodeId } from '../../core/index.js'
import type { MutableCounters } from '../counters.js'
import { Allowance } from '../allowance.js'
import { decodeProbe, encodeProbe, encodeVarint, inspectFrame, readVarint, splitFrame } from './gossip-frames.js'
import { OutboundQueue, QueueBudget } from './outbound-queue.js'
import { nodeIdOf } from './peer-ids.js'
import type { SwarmTimings } from './swarm-options.js'
import type { Traffic } from './traffic.js'

type Registrar = GossipSubComponents['registrar']

/** The only version of the protocol that is spoken. */
export const GOSSIP_PROTOCOL = '/meshsub/1.2.0'
/** Longest frame that is taken, bytes; ours are cut at the second figure, which a broadcast with its topic never passes. */
const MAX_FRAME_BYTES = 1024 * 1024
const MAX_SENT_FRAME_BYTES = 512 * 1024
/** Frames that wait for all peers together, bytes. */
const MAX_QUEUED_BYTES = 64 * 1024 * 1024
/** Streams of one connection on which its peer may send; one is in use, one more while it is replaced. */
const MAX_INBOUND_STREAMS = 2

/** What one peer may ask, as burst and per second. An honest one stays below a tenth of it. */
const ALLOWED = {
  subscriptions: [64, 1],
  controls: [10_000, 2_000],
  controlBytes: [2 * 1024 * 1024, 512 * 1024],
  probes: [16, 2],
} as const

/** A connection that moves this much while a probe waits is busy: on a slow way the probe stands in line, bytes. */
const BUSY_BYTES = 64 * 1024
/** How many times longer a busy connection may take. */
const BUSY_PATIENCE = 8

/** Why a link is no good; `undefined` when it is. */
export type LinkFault = string | undefined

export interface GossipLinksOptions {
  readonly counters: MutableCounters
  readonly nowMs: () => number
  /** A peer broke a rule that no honest one breaks. */
  readonly onOffence: (peer: NodeId, reason: string) => void
  /** Something about a link changed that may make it ready. */
  readonly onChange: (peer: NodeId) => void
}

/** A ping that was sent, until its answer is here. */
interface Ping {
  readonly number: number
  readonly sentMs: number
  /** Since when patience counts, and what had moved then. */
  readonly countedMs: number
  readonly takenBytes: number
  readonly movedBytes: number
}

/** The gossip streams to and from one peer. */
class GossipLink {
  readonly sinceMs: number
  readonly allowances: { readonly [Key in keyof typeof ALLOWED]: Allowance }
  queue: OutboundQueue | undefined
  ping: Ping | undefined
  probedMs = -Infinity
  /** When something came over the connection last, as far as was looked. */
  heardMs: number
  receivedBytes = 0
  roundTripMs: number | undefined

  constructor(nowMs: number) {
    this.sinceMs = nowMs
    this.heardMs = nowMs
    const allow = ([burst, perSecond]: readonly [number, number]): Allowance => new Allowance(burst, perSecond, nowMs)
    this.allowances = {
      subscriptions: allow(ALLOWED.subscriptions),
      controls: allow(ALLOWED.controls),
      controlBytes: allow(ALLOWED.controlBytes),
      probes: allow(ALLOWED.probes),
    }
  }
}

/**
 * Stands between gossipsub and its streams, through the registrar that gossipsub is given. Gossipsub drops a frame that
 * is too long or holds too much without a word, goes on reading, and may leave the stream dead while the connection
 * lives; and it queues without bound for a peer that does not read. Here frames are checked before gossipsub sees them,
 * long ones are cut before they are sent, queues are bounded, and probes tell whether both directions still work.
 */
export class GossipLinks {
  readonly #options: GossipLinksOptions
  readonly #links = new Map<NodeId, GossipLink>()
  readonly #budget = new QueueBudget(MAX_QUEUED_BYTES)
  #topology: Topology | undefined
  #probeNumber = 0

  constructor(options: GossipLinksOptions) {
    this.#options = options
  }

  /** The registrar that gossipsub gets. */
  guard(registrar: Registrar): Registrar {
    return {
      getProtocols: () => registrar.getProtocols(),
      getHandler: (protocol) => registrar.getHandler(protocol),
      getTopologies: (protocol) => registrar.getTopologies(protocol),
      unregister: (id) => {
        if (id !== '') registrar.unregister(id)
      },
      unhandle: async (protocol, options) => {
        if (protocol === GOSSIP_PROTOCOL) await registrar.unhandle(protocol, options)
      },
      handle: async (protocol, handler, options) => {
        if (protocol !== GOSSIP_PROTOCOL) return
        await registrar.handle(
          protocol,
          (data) => {
            const guarded = this.#guardInbound(data)
            if (guarded !== undefined) return handler(guarded)
          },
          { ...options, maxInboundStreams: MAX_INBOUND_STREAMS },
        )
      },
      register: async (protocol, topology) => {
        if (protocol !== GOSSIP_PROTOCOL) return ''
        this.#topology = topology
        // Disconnections come late this way, sometimes after the next connection: detach() tells gossipsub of them.
        return registrar.register(protocol, {
          onConnect: (peerId, connection) => {
            this.#attach(peerId, connection)
          },
        })
      },
    }
  }

  /** The connection of a peer is gone, or about to be replaced. */
  detach(peer: NodeId, peerId: PeerId): void {
    this.#links.get(peer)?.queue?.end()
    this.#links.delete(peer)
    this.#topology?.onDisconnect?.(peerId)
  }

  /** Whether broadcasts can be sent to a peer. */
  canSend(peer: NodeId): boolean {
    return this.#links.get(peer)?.queue !== undefined
  }

  roundTripMs(peer: NodeId): number | undefined {
    return this.#links.get(peer)?.roundTripMs
  }

  /** Resolves when one of the peers has room for more, or none of them has a queue. */
  async room(peers: readonly NodeId[]): Promise<void> {
    const queues = peers.flatMap((peer) => this.#links.get(peer)?.queue ?? [])
    if (queues.length === 0 || queues.some(({ hasRoom }) => hasRoom)) return
    await Promise.race(queues.map((queue) => queue.room()))
  }

  /**
   * Looks at a link, and sends a probe when it is time or the peer is quiet.
   *
   * @param traffic of the connection in use
   * @returns what is wrong with the link
   */
  probe(peer: NodeId, timings: SwarmTimings, traffic: Traffic): LinkFault {
    const link = this.#links.get(peer)
    const nowMs = this.#options.nowMs()
    // Whoever has no link wants no broadcasts either, and that is found out elsewhere.
    if (link === undefined) return undefined
    if (link.queue === undefined) {
      return nowMs - link.sinceMs > timings.patienceMs ? 'it takes no broadcasts' : undefined
    }
    if (link.receivedBytes !== traffic.receivedBytes) {
      link.receivedBytes = traffic.receivedBytes
      link.heardMs = nowMs
    }
    if (link.ping !== undefined) return faultOf(link, link.queue, timings, traffic, nowMs)
    const isQuiet = nowMs - link.heardMs >= timings.silenceMs / 2
    if (isQuiet || nowMs - link.probedMs >= timings.probeMs) this.#ping(link, link.queue, traffic, nowMs)
    return undefined
  }

  /** This process stood still: that nothing was heard meanwhile says nothing about the peers. */
  forgive(): void {
    const nowMs = this.#options.nowMs()
    for (const link of this.#links.values()) {
      link.heardMs = nowMs
      if (link.ping !== undefined) link.ping = { ...link.ping, countedMs: nowMs }
    }
  }

  #ping(link: GossipLink, queue: OutboundQueue, traffic: Traffic, nowMs: number): void {
    const number = this.#probeNumber++ % 2 ** 32
    const movedBytes = movedBytesOf(traffic)
    link.probedMs = nowMs
    link.ping = { number, sentMs: nowMs, countedMs: nowMs, takenBytes: queue.takenBytes, movedBytes }
    queue.push(prefixed(encodeProbe({ kind: 'ping', number })), true)
  }

  #attach(peerId: PeerId, connection: Connection): void {
    const peer = nodeIdOf(peerId)
    if (peer === undefined || connection.status !== 'open') return
    this.#linkOf(peer)
    this.#topology?.onConnect?.(peerId, this.#guardConnection(peer, connection))
  }

  #linkOf(peer: NodeId): GossipLink {
    let link = this.#links.get(peer)
    if (link === undefined) {
      link = new GossipLink(this.#options.nowMs())
      this.#links.set(peer, link)
    }
    return link
  }

  #guardInbound({ stream, connection }: IncomingStreamData): IncomingStreamData | undefined {
    const peer = nodeIdOf(connection.remotePeer)
    if (peer === undefined) return undefined
    const link = this.#linkOf(peer)
    const source = this.#checked(peer, link, stream)
    return {
      stream: replaced(stream, { source }),
      connection: this.#guardConnection(peer, connection),
    }
  }

  #guardConnection(peer: NodeId, connection: Connection): Connection {
    const newStream: Connection['newStream'] = async (_protocols, options) => {
      const stream = await connection.newStream(GOSSIP_PROTOCOL, options)
      return this.#guardOutbound(peer, stream)
    }
    return replaced(connection, { newStream })
  }

  #guardOutbound(peer: NodeId, stream: Stream): Stream {
    const link = this.#linkOf(peer)
    const queue = new OutboundQueue(this.#budget)
    link.queue?.end()
    link.queue = queue
    const sink: Stream['sink'] = async (source) => {
      void this.#fill(queue, source)
      try {
        await stream.sink(queue)
      } finally {
        queue.end()
      }
    }
    this.#options.onChange(peer)
    return replaced(stream, { sink })
  }

  /** Takes frames from gossipsub at once, so that its own queue stays empty. */
  async #fill(queue: OutboundQueue, source: Parameters<Stream['sink']>[0]): Promise<void> {
    try {
      for await (const chunk of source) {
        const frame = chunk.subarray()
        const length = readVarint(frame, 0)
        if (length === undefined) continue
        for (const piece of splitFrame(frame.subarray(length.end), MAX_SENT_FRAME_BYTES)) {
          const whole = piece.length === length.value
          if (!queue.push(whole ? frame : prefixed(piece))) this.#options.counters.dropped++
        }
      }
    } finally {
      queue.end()
    }
  }

  /** The frames of a stream, as long as they are what they may be. */
  async *#checked(peer: NodeId, link: GossipLink, stream: Stream): AsyncGenerator<Uint8ArrayList> {
    const buffer = new Uint8ArrayList()
    for await (const chunk of stream.source) {
      buffer.append(chunk)
      for (;;) {
        const length = readVarint(buffer.subarray(0, Math.min(5, buffer.length)), 0)
        if (length === undefined) break
        if (!(length.value <= MAX_FRAME_BYTES)) {
          this.#offend(peer, stream, `it sends a frame of ${String(length.value)} bytes`)
          return
        }
        const end = length.end + length.value
        if (buffer.length < end) break
        const frame = buffer.subarray(length.end, end)
        const fault = this.#take(link, frame)
        if (fault !== undefined) {
          this.#offend(peer, stream, fault)
          return
        }
        if (decodeProbe(frame) === undefined) yield buffer.sublist(0, end)
        buffer.consume(end)
      }
    }
  }

  /** Counts a frame, and answers it if it is a probe. */
  #take(link: GossipLink, frame: Uint8Array): string | undefined {
    const nowMs = this.#options.nowMs()
    const probe = decodeProbe(frame)
    if (probe?.kind === 'ping') {
      if (!link.allowances.probes.take(1, nowMs)) return 'it probes without end'
      link.queue?.push(prefixed(encodeProbe({ kind: 'pong', number: probe.number })), true)
      return undefined
    }
    if (probe !== undefined) {
      if (link.ping?.number === probe.number) {
        link.roundTripMs = nowMs - link.ping.sentMs
        link.ping = undefined
      }
      return undefined
    }
    const load = inspectFrame(frame)
    if (load === undefined) return 'it sends what is no gossip'
    // Taken for duplicates until the validator sees them.
    this.#options.counters.duplicates += load.messages
    if (!link.allowances.subscriptions.take(load.subscriptions, nowMs)) return 'it subscribes to too much'
    if (!link.allowances.controls.take(load.controls, nowMs)) return 'it floods with control messages'
    if (!link.allowances.controlBytes.take(load.controlBytes, nowMs)) return 'it floods with control messages'
    return undefined
  }

  #offend(peer: NodeId, stream: Stream, reason: string): void {
    stream.abort(new Error(reason))
    this.#options.onOffence(peer, reason)
  }
}

/** What is wrong with a link on which the answer to a ping is still awaited. */
function faultOf(
  link: GossipLink,
  queue: OutboundQueue,
  { patienceMs, silenceMs }: SwarmTimings,
  traffic: Traffic,
  nowMs: number,
): LinkFault {
  const { ping } = link
  if (ping === undefined) return undefined
  const silentMs = nowMs - link.heardMs
  if (silentMs > silenceMs && nowMs - ping.countedMs > silenceMs / 3) {
    return `nothing has come from it for ${inSeconds(silentMs)}, and it does not answer`
  }
  if (nowMs - ping.countedMs <= patienceMs) return undefined
  const movedBytes = movedBytesOf(traffic)
  // A slow peer that reads gets more time; it is alive.
  const isReading = queue.takenBytes > ping.takenBytes + MAX_SENT_FRAME_BYTES
  const isBusy = movedBytes > ping.movedBytes + BUSY_BYTES && nowMs - ping.sentMs < BUSY_PATIENCE * patienceMs
  if (!isReading && !isBusy) {
    return `connected, but broadcasts have not come through for ${inSeconds(nowMs - ping.sentMs)}`
  }
  link.ping = { ...ping, countedMs: nowMs, takenBytes: queue.takenBytes, movedBytes }
  return undefined
}

function movedBytesOf({ receivedBytes, sentBytes }: Traffic): number {
  return receivedBytes + sentBytes
}

function inSeconds(ms: number): string {
  return `${String(Math.round(ms / 1000))} s`
}

function prefixed(frame: Uint8Array): Uint8Array {
  return Buffer.concat([encodeVarint(frame.length), frame])
}

/** The same object with some members replaced; everything else is called on the original. */
function replaced<T extends object>(target: T, members: Partial<T>): T {
  return new Proxy(target, {
    get: (_target, key) => {
      if (key in members) return Reflect.get(members, key)
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}
