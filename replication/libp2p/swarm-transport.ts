// The polyfill has to come before everything of libp2p.
import './promise-with-resolvers.js'
import {
  UnexpectedPeerError,
  type Connection,
  type ConnectionGater,
  type Libp2p,
  type MultiaddrConnection,
  type PeerId,
} from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { NodeId } from '../../core/index.js'
import { Identity } from '../../storage/index.js'
import { ConductBook, REJECTED_POINTS } from '../conduct.js'
import { createCounters } from '../counters.js'
import {
  MessageTooLargeError,
  PeerUnreachableError,
  SwarmClosedError,
  SwarmListenError,
  type NetworkKeyError,
} from '../transport-errors.js'
import {
  MAX_ANSWER_BYTES,
  MAX_BROADCAST_BYTES,
  MAX_REQUEST_BYTES,
  type BroadcastValidator,
  type FailureReason,
  type PeerFailure,
  type PeerStatus,
  type RequestHandler,
  type RequestOptions,
  type Transport,
  type TransportCounters,
  type TransportEvent,
} from '../transport.js'
import { isLoopback, learnAddress, parsePeerAddress } from './addresses.js'
import { Allowance } from '../allowance.js'
import { Dialer } from './dialer.js'
import { describeFailure } from './failures.js'
import { GOSSIP_PROTOCOL, GossipLinks } from './gossip-links.js'
import { Gossip } from './gossip.js'
import { checkPeer, decodePeers, encodePeers, type KnownPeer } from './peer-exchange.js'
import { nodeIdOf, peerIdOf } from './peer-ids.js'
import { RequestProtocol } from './request-protocol.js'
import { createHost } from './swarm-host.js'
import type { SwarmOptions } from './swarm-options.js'
import { SWARM_SIZE, type SwarmSize } from './swarm-size.js'
import { TrafficBook } from './traffic.js'

const SYNC_PROTOCOL = '/millrace/sync/1'
const PEERS_PROTOCOL = '/millrace/peers/1'
/** What nodes speak with each other. */
export const PROTOCOLS: readonly string[] = [SYNC_PROTOCOL, PEERS_PROTOCOL, GOSSIP_PROTOCOL]
const MAX_PEERS_BYTES = 128 * 1024
/** Two connections of the same two nodes within this time come from both dialling at once, ms. */
const CROSSING_MS = 3_000
/** For a clean end of libp2p, ms; after it the sockets are gone anyway. */
const CLOSE_MS = 1_500
/** Strangers with a wrong network key that are told of: burst, per second. All are counted. */
const MISMATCHES_TOLD = [10, 0.1] as const

/** Points for a request that was begun and not sent. */
const STALL_POINTS = 15

/** Longest pause between two looks at all links, ms. */
const MAX_WATCH_MS = 500
const DEAF = 'it wants no broadcasts of this topic; it may have another one'

/** A peer with a connection. */
interface Peer {
  readonly nodeId: NodeId
  readonly peerId: PeerId
  connection: Connection
  sinceMicros: number
  openedMs: number
  /** Whether broadcasts can go both ways, so that listeners know of it. */
  ready: boolean
  /** Where others may reach it, as far as it says. */
  addresses: readonly string[]
}

/** A node in a swarm over libp2p. Made by `openSwarm`. */
export class SwarmTransport implements Transport {
  readonly nodeId: NodeId
  readonly #options: SwarmOptions
  readonly #size: SwarmSize
  readonly #counters = createCounters()
  readonly #conduct = new ConductBook()
  readonly #listeners = new Set<(event: TransportEvent) => void>()
  readonly #peers = new Map<NodeId, Peer>()
  readonly #failures = new Map<NodeId, PeerFailure>()
  readonly #inbound = new WeakSet<MultiaddrConnection>()
  readonly #mismatchesTold: Allowance
  readonly #traffic = new TrafficBook()
  readonly #links: GossipLinks
  readonly #gossip: Gossip
  readonly #sync: RequestProtocol
  readonly #exchange: RequestProtocol
  readonly #dialer: Dialer
  #host: Libp2p | undefined
  #watchdog: NodeJS.Timeout | undefined
  #watchedMs = Infinity
  #exchanges: NodeJS.Timeout | undefined
  #closed: Promise<void> | undefined

  static async open(options: SwarmOptions, key: Buffer): Promise<SwarmTransport> {
    const initial = options.initialPeers.map(parsePeerAddress)
    for (const address of [...options.listen, ...options.announce]) parsePeerAddress(address)
    const transport = new SwarmTransport(options)
    try {
      await transport.#start(key)
    } catch (error) {
      await transport.close()
      const where = options.listen.join(', ')
      throw new SwarmListenError(`cannot listen for peers on ${where}: ${causeOf(error)}`, { cause: error })
    }
    for (const { nodeId, address } of initial) transport.#dialer.add('configured', nodeId, [address])
    for (const { nodeId, addresses } of options.rememberedPeers ?? []) {
      const peer = checkPeer(nodeId, addresses)
      if (peer !== undefined) transport.#dialer.add('learnt', peer.nodeId, peer.addresses)
    }
    return transport
  }

  private constructor(options: SwarmOptions) {
    const { clock, seed, timings, topic } = options
    const counters = this.#counters
    const nowMs = (): number => clock.monotonicMs()
    this.#options = options
    this.#size = options.size ?? SWARM_SIZE
    this.nodeId = Identity.fromSeed(seed).nodeId
    this.#mismatchesTold = new Allowance(...MISMATCHES_TOLD, nowMs())
    const onOffence = (peer: NodeId, reason: string): void => {
      this.cut(peer, reason)
    }
    this.#links = new GossipLinks({
      counters,
      nowMs,
      onOffence,
      onChange: (peer) => {
        this.#checkReady(peer)
      },
    })
    this.#gossip = new Gossip({
      topic: `/millrace/live/1/${topic}`,
      links: this.#links,
      counters,
      onReject: (from) => {
        this.blame(from, REJECTED_POINTS, 'it passes on what is not valid')
      },
    })
    const { stallMs } = timings
    const onStall = (peer: NodeId): void => {
      this.blame(peer, STALL_POINTS, 'it begins requests and does not send them')
    }
    this.#sync = new RequestProtocol({
      protocol: SYNC_PROTOCOL,
      maxRequestBytes: MAX_REQUEST_BYTES,
      maxAnswerBytes: MAX_ANSWER_BYTES,
      stallMs,
      counters,
      onOffence,
      onStall,
    })
    this.#exchange = new RequestProtocol({
      protocol: PEERS_PROTOCOL,
      maxRequestBytes: 0,
      maxAnswerBytes: MAX_PEERS_BYTES,
      stallMs,
      counters: createCounters(),
      onOffence,
      onStall,
    })
    this.#exchange.handler = (peer) => this.#tellPeers(peer)
    this.#dialer = new Dialer({
      self: this.nodeId,
      dial: (address, nodeId, signal) => this.#dial(address, nodeId, signal),
      dialMs: timings.dialMs,
      isConnected: (nodeId) => this.#peers.has(nodeId),
      isUnwanted: (nodeId) => this.#conduct.isCut(nodeId, nowMs()),
      connections: () => this.#peers.size,
      enough: this.#size.enough,
      describe: (error, address) => describeFailure(error, address, clock.nowMicros()),
      onFailed: (peer, address, failure) => {
        if (failure.reason === 'network-key') counters.keyMismatches++
        this.#tell({ kind: 'failed', peer, address, failure })
      },
      nowMicros: () => clock.nowMicros(),
      nowMs,
      random: Math.random,
    })
  }

  addresses(): readonly string[] {
    return (this.#host?.getMultiaddrs() ?? []).map(String)
  }

  peers(): readonly PeerStatus[] {
    const nowMs = this.#options.clock.monotonicMs()
    const listed = new Map<string, PeerStatus>()
    for (const { dialling, ...target } of this.#dialer.targets()) {
      const status = {
        ...target,
        state: dialling ? ('connecting' as const) : ('waiting' as const),
        direction: undefined,
        roundTripMs: undefined,
      }
      listed.set(target.nodeId ?? target.addresses[0] ?? '', status)
    }
    for (const { peer, reason } of this.#conduct.cutPeers(nowMs)) {
      const known = listed.get(peer) ?? this.#unlisted(peer)
      const failure = this.#failures.get(peer) ?? this.#failure('misbehaved', reason)
      listed.set(peer, { ...known, state: 'cut', nextDialMicros: undefined, failure })
    }
    for (const peer of this.#peers.values()) listed.set(peer.nodeId, this.#statusOf(peer, listed.get(peer.nodeId)))
    return [...listed.values()]
  }

  connectedPeers(): readonly NodeId[] {
    return [...this.#peers.values()].filter(({ ready }) => ready).map(({ nodeId }) => nodeId)
  }

  counters(): TransportCounters {
    return { ...this.#counters }
  }

  subscribe(listener: (event: TransportEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  async broadcast(message: Uint8Array): Promise<number> {
    this.#checkOpen()
    if (message.length > MAX_BROADCAST_BYTES) {
      throw new MessageTooLargeError('broadcast', message.length, MAX_BROADCAST_BYTES)
    }
    return this.#gossip.broadcast(message)
  }

  onBroadcast(validator: BroadcastValidator): void {
    this.#gossip.validator = validator
  }

  async *request(peer: NodeId, request: Uint8Array, { signal }: RequestOptions): AsyncGenerator<Uint8Array> {
    this.#checkOpen()
    if (request.length > MAX_REQUEST_BYTES) {
      throw new MessageTooLargeError('request', request.length, MAX_REQUEST_BYTES)
    }
    const connection = this.#peers.get(peer)?.connection
    if (connection === undefined) throw new PeerUnreachableError(peer)
    this.#counters.requestsSent++
    yield* this.#sync.request(peer, connection, request, signal)
  }

  onRequest(handler: RequestHandler): void {
    this.#sync.handler = handler
  }

  blame(peer: NodeId, points: number, reason: string): void {
    if (this.#conduct.blame(peer, points, this.#options.clock.monotonicMs())) this.cut(peer, reason)
  }

  cut(peer: NodeId, reason: string): void {
    const nowMs = this.#options.clock.monotonicMs()
    const untilMs = this.#conduct.cut(peer, reason, nowMs)
    this.#counters.cuts++
    this.#end(peer, this.#failure('misbehaved', `cut: ${reason}`), untilMs - nowMs)
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#shutdown())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #start(key: Buffer): Promise<void> {
    const host = await createHost(this.#options, {
      key,
      traffic: this.#traffic,
      gossip: this.#gossip,
      gater: this.#gater(),
      onMismatch: (connection, error) => {
        this.#onMismatch(connection, error)
      },
    })
    this.#host = host
    host.addEventListener('connection:open', ({ detail }) => {
      this.#onOpen(detail)
    })
    host.addEventListener('connection:close', ({ detail }) => {
      this.#onClose(detail)
    })
    host.addEventListener('peer:identify', ({ detail }) => {
      this.#learn(detail.connection, detail.listenAddrs.map(String))
    })
    host.addEventListener('peer:discovery', ({ detail }) => {
      const addresses = detail.multiaddrs.flatMap((address) => learnAddress(address.toString())?.address ?? [])
      const nodeId = nodeIdOf(detail.id)
      if (nodeId !== undefined) this.#dialer.add('discovered', nodeId, addresses)
    })
    for (const protocol of [this.#sync, this.#exchange]) {
      await host.handle(protocol.protocol, protocol.accept, protocol.streamLimits)
    }
    await host.start()
    this.#gossip.subscribe((peer) => {
      this.#checkReady(peer)
    })
    const { probeMs, exchangeMs } = this.#options.timings
    const watchMs = Math.min(MAX_WATCH_MS, probeMs)
    this.#watchdog = setInterval(() => {
      this.#watch()
    }, watchMs)
    this.#exchanges = setInterval(() => {
      // Whoever has enough connections only wants to know who else there is, should they end.
      const peers = [...this.#peers.keys()]
      const asked = peers.length < this.#size.enough ? peers : [peers[Math.floor(Math.random() * peers.length)]]
      for (const nodeId of asked) if (nodeId !== undefined) void this.#askPeers(nodeId)
    }, exchangeMs)
  }

  async #shutdown(): Promise<void> {
    clearInterval(this.#watchdog)
    clearInterval(this.#exchanges)
    this.#dialer.close()
    this.#sync.close()
    this.#exchange.close()
    this.#listeners.clear()
    const host = this.#host
    if (host === undefined) return
    const closed = new SwarmClosedError()
    for (const peer of this.#peers.values()) this.#links.detach(peer.nodeId, peer.peerId)
    for (const connection of host.getConnections()) connection.abort(closed)
    this.#peers.clear()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, CLOSE_MS)))
    const stopped = Promise.resolve(host.stop()).catch(() => {
      // What cannot be stopped any more need not be.
    })
    await Promise.race([stopped, late])
    clearTimeout(timer)
  }

  async #dial(address: string, nodeId: NodeId | undefined, signal: AbortSignal): Promise<NodeId> {
    const peerId = nodeId === undefined ? undefined : peerIdOf(nodeId)
    const suffix = peerId === undefined ? '' : `/p2p/${peerId.toString()}`
    const connection = await this.#host?.dial(multiaddr(`${address}${suffix}`), { signal })
    const found = connection === undefined ? undefined : nodeIdOf(connection.remotePeer)
    if (found === undefined) throw new SwarmClosedError()
    return found
  }

  #gater(): ConnectionGater {
    const isUnwanted = (peerId: PeerId): boolean => {
      const nodeId = nodeIdOf(peerId)
      return nodeId === undefined || this.#conduct.isCut(nodeId, this.#options.clock.monotonicMs())
    }
    return {
      denyDialPeer: isUnwanted,
      denyOutboundEncryptedConnection: (peerId, connection) => {
        // libp2p itself takes whoever answers.
        const expected = learnAddress(connection.remoteAddr.toString())?.nodeId
        if (expected !== undefined && expected !== nodeIdOf(peerId)) {
          throw new UnexpectedPeerError(`${peerId.toString()} answers`)
        }
        return isUnwanted(peerId)
      },
      denyInboundConnection: (connection) => {
        this.#inbound.add(connection)
        return false
      },
      denyInboundEncryptedConnection: (peerId) => {
        const nodeId = nodeIdOf(peerId)
        if (nodeId === undefined || isUnwanted(peerId)) return true
        if (!this.#peers.has(nodeId) && this.#peers.size >= this.#size.most) return true
        // Both dial: the connection that the smaller id began is kept.
        return this.nodeId < nodeId && this.#dialer.isDialling(nodeId) && !this.#peers.has(nodeId)
      },
    }
  }

  #onOpen(connection: Connection): void {
    const nodeId = nodeIdOf(connection.remotePeer)
    if (nodeId === undefined || this.#closed !== undefined) {
      connection.abort(new SwarmClosedError())
      return
    }
    const before = this.#peers.get(nodeId)
    if (before !== undefined && this.#isBetter(before, connection)) {
      connection.abort(new Error('there is another connection to this node'))
      return
    }
    const { clock } = this.#options
    const fresh: Peer = {
      nodeId,
      peerId: connection.remotePeer,
      connection,
      sinceMicros: clock.nowMicros(),
      openedMs: clock.monotonicMs(),
      ready: before?.ready ?? false,
      addresses: before?.addresses ?? [],
    }
    this.#peers.set(nodeId, fresh)
    if (before !== undefined) {
      // Gossipsub would stay with the streams of the old connection.
      this.#links.detach(nodeId, before.peerId)
      before.connection.abort(new Error('there is a newer connection to this node'))
    }
    const dialled = connection.direction === 'outbound' ? learnAddress(connection.remoteAddr.toString()) : undefined
    this.#dialer.connected(nodeId, dialled?.address)
  }

  /** Whether the connection that stands is to be kept beside a new one; both nodes come to the same answer. */
  #isBetter(before: Peer, connection: Connection): boolean {
    if (before.connection.status !== 'open') return false
    if (this.#options.clock.monotonicMs() - before.openedMs > CROSSING_MS) return false
    const keeps = this.nodeId < before.nodeId ? 'outbound' : 'inbound'
    return before.connection.direction === keeps && connection.direction !== keeps
  }

  #onClose(connection: Connection): void {
    const nodeId = nodeIdOf(connection.remotePeer)
    if (nodeId === undefined || this.#peers.get(nodeId)?.connection !== connection) return
    this.#end(nodeId, this.#failure('broken-off', 'the connection ended'))
  }

  /** Ends what there is with a peer and says so. */
  #end(nodeId: NodeId, failure: PeerFailure, waitMs = 0): void {
    this.#failures.delete(nodeId)
    this.#failures.set(nodeId, failure)
    for (const oldest of this.#failures.keys()) {
      if (this.#failures.size <= 4 * this.#size.most) break
      this.#failures.delete(oldest)
    }
    const peer = this.#peers.get(nodeId)
    if (peer === undefined) return
    this.#peers.delete(nodeId)
    this.#links.detach(nodeId, peer.peerId)
    peer.connection.abort(new Error(failure.message))
    this.#dialer.lost(nodeId, failure, waitMs)
    if (peer.ready) this.#tell({ kind: 'gone', peer: nodeId, failure })
    else this.#tell({ kind: 'failed', peer: nodeId, address: peer.connection.remoteAddr.toString(), failure })
  }

  #checkReady(nodeId: NodeId): void {
    const peer = this.#peers.get(nodeId)
    if (peer === undefined || peer.ready) return
    if (!this.#links.canSend(nodeId) || !this.#gossip.subscribers().has(nodeId)) return
    peer.ready = true
    this.#tell({ kind: 'connected', peer: nodeId, address: peer.connection.remoteAddr.toString() })
    this.#probe(peer)
    void this.#askPeers(nodeId)
  }

  #watch(): void {
    const { clock, timings } = this.#options
    const subscribers = this.#gossip.subscribers()
    const nowMs = clock.monotonicMs()
    // Stopped, or asleep with the whole machine.
    if (nowMs - this.#watchedMs > Math.max(timings.silenceMs / 2, 4 * MAX_WATCH_MS)) this.#links.forgive()
    this.#watchedMs = nowMs
    for (const peer of [...this.#peers.values()]) {
      const { nodeId, openedMs } = peer
      const old = nowMs - openedMs > timings.patienceMs
      const deaf = old && !subscribers.has(nodeId) ? DEAF : undefined
      const fault = this.#probe(peer) ?? deaf
      if (fault !== undefined) this.#end(nodeId, this.#failure('dead-link', fault))
    }
    this.#makeRoom(nowMs)
    const connected = Array.from(this.#peers.values(), ({ nodeId, peerId }) => [nodeId, peerId.toString()] as const)
    for (const peer of this.#gossip.offenders(connected)) this.cut(peer, 'it breaks the rules of gossip')
  }

  /** Lets one go who has been here for long enough to know others: chance decides, so nobody can hold all places. */
  #makeRoom(nowMs: number): void {
    const { stayMs } = this.#options.timings
    const ready = [...this.#peers.values()].filter((peer) => peer.ready)
    if (ready.length <= this.#size.lasting) return
    const settled = ready.filter(({ nodeId, openedMs }) => {
      return nowMs - openedMs > stayMs && !this.#dialer.isConfigured(nodeId)
    })
    const chosen = settled[Math.floor(Math.random() * settled.length)]
    if (chosen !== undefined) this.#end(chosen.nodeId, this.#failure('broken-off', 'it made room for newcomers'))
  }

  #probe({ nodeId, connection }: Peer): string | undefined {
    return this.#links.probe(nodeId, this.#options.timings, this.#traffic.of(connection.timeline))
  }

  #learn(connection: Connection, texts: readonly string[]): void {
    const nodeId = nodeIdOf(connection.remotePeer)
    const peer = nodeId === undefined ? undefined : this.#peers.get(nodeId)
    if (peer === undefined) return
    const local = isLoopback(connection.remoteAddr.toString())
    const addresses = texts
      .flatMap((text) => learnAddress(text)?.address ?? [])
      .filter((address) => local || !isLoopback(address))
    peer.addresses = addresses
    this.#dialer.add('incoming', peer.nodeId, addresses)
    this.#dialer.connected(peer.nodeId, undefined)
  }

  async *#tellPeers(asking: NodeId): AsyncGenerator<Uint8Array> {
    const others: KnownPeer[] = [...this.#peers.values()].filter(({ nodeId }) => nodeId !== asking)
    const address = this.#peers.get(asking)?.connection.remoteAddr.toString() ?? ''
    yield encodePeers(others, isLoopback(address))
    await Promise.resolve()
  }

  async #askPeers(nodeId: NodeId): Promise<void> {
    const connection = this.#peers.get(nodeId)?.connection
    if (connection === undefined) return
    const { signal } = new AbortController()
    try {
      for await (const bytes of this.#exchange.request(nodeId, connection, new Uint8Array(), signal)) {
        for (const known of decodePeers(bytes)) {
          if (!this.#peers.has(known.nodeId)) this.#dialer.add('learnt', known.nodeId, known.addresses)
        }
        break
      }
    } catch {
      // It is asked again before long.
    }
  }

  #onMismatch(connection: MultiaddrConnection, error: NetworkKeyError): void {
    if (!this.#inbound.has(connection)) return
    this.#counters.keyMismatches++
    if (!this.#mismatchesTold.take(1, this.#options.clock.monotonicMs())) return
    const address = connection.remoteAddr.toString()
    const failure = this.#failure('network-key', `the peer at ${address} ${error.message}`)
    this.#tell({ kind: 'failed', peer: undefined, address, failure })
  }

  #statusOf(peer: Peer, target: PeerStatus | undefined): PeerStatus {
    const known = target ?? this.#unlisted(peer.nodeId)
    const address = learnAddress(peer.connection.remoteAddr.toString())?.address
    const inUse = peer.connection.direction === 'outbound' && address !== undefined ? [address] : []
    return {
      ...known,
      state: peer.ready ? 'connected' : 'connecting',
      addresses: [...new Set([...inUse, ...known.addresses, ...peer.addresses])],
      direction: peer.connection.direction,
      sinceMicros: peer.sinceMicros,
      nextDialMicros: undefined,
      failures: 0,
      failure: known.failure ?? this.#failures.get(peer.nodeId),
      roundTripMs: this.#links.roundTripMs(peer.nodeId),
    }
  }

  #unlisted(nodeId: NodeId): PeerStatus {
    const failure = this.#failures.get(nodeId)
    return {
      nodeId,
      source: 'incoming',
      state: 'waiting',
      addresses: [],
      direction: undefined,
      sinceMicros: failure?.atMicros ?? this.#options.clock.nowMicros(),
      nextDialMicros: undefined,
      failures: 0,
      failure,
      roundTripMs: undefined,
    }
  }

  #failure(reason: FailureReason, message: string): PeerFailure {
    return { reason, message, atMicros: this.#options.clock.nowMicros() }
  }

  #tell(event: TransportEvent): void {
    for (const listener of this.#listeners) listener(event)
  }

  #checkOpen(): void {
    if (this.#closed !== undefined) throw new SwarmClosedError()
  }
}

function causeOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
