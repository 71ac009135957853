import type { NodeId } from '../../core/index.js'
import { ConductBook, REJECTED_POINTS } from '../conduct.js'
import { createCounters } from '../counters.js'
import { MessageTooLargeError, PeerUnreachableError, SwarmClosedError } from '../transport-errors.js'
import {
  MAX_BROADCAST_BYTES,
  MAX_REQUEST_BYTES,
  MAX_REQUESTS,
  MAX_REQUESTS_PER_PEER,
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
import { Answering, Asking, type AnswerEnd } from './memory-exchange.js'
import { MemoryGossip } from './memory-gossip.js'
import type { Wire } from './wire.js'

/** Bytes that carrying a request or the end of an answer costs beside its content. */
const ENVELOPE_BYTES = 16

interface PeerRecord {
  readonly sinceMicros: number
  readonly failure: PeerFailure | undefined
}

/** One node of a network in memory; made by its `join`. */
export class MemoryTransport implements Transport {
  readonly nodeId: NodeId
  /** @internal */
  readonly gossip: MemoryGossip
  readonly #network: Wire<MemoryTransport>
  readonly #counters = createCounters()
  readonly #conduct = new ConductBook()
  readonly #connected = new Set<NodeId>()
  readonly #records = new Map<NodeId, PeerRecord>()
  readonly #listeners = new Set<(event: TransportEvent) => void>()
  readonly #asking = new Map<number, Asking>()
  readonly #answering = new Map<NodeId, Map<number, Answering>>()
  #handler: RequestHandler | undefined
  #requests = 0
  #closed = false

  constructor(nodeId: NodeId, network: Wire<MemoryTransport>) {
    this.nodeId = nodeId
    this.#network = network
    this.gossip = new MemoryGossip(nodeId, network, this.#counters, (from) => {
      this.blame(from, REJECTED_POINTS, 'it passes on what is not valid')
    })
  }

  addresses(): readonly string[] {
    return [`/memory/${this.nodeId}`]
  }

  peers(): readonly PeerStatus[] {
    const nowMs = this.#network.time.monotonicMs()
    return Array.from(this.#network.neighboursOf(this.nodeId), (nodeId) => {
      const connected = this.#connected.has(nodeId)
      const record = this.#records.get(nodeId)
      return {
        nodeId,
        source: 'configured',
        state: connected ? 'connected' : this.#conduct.isCut(nodeId, nowMs) ? 'cut' : 'waiting',
        addresses: [`/memory/${nodeId}`],
        direction: connected ? (this.nodeId < nodeId ? 'outbound' : 'inbound') : undefined,
        sinceMicros: record?.sinceMicros ?? this.#network.time.nowMicros(),
        nextDialMicros: undefined,
        failures: connected || record?.failure === undefined ? 0 : 1,
        failure: record?.failure,
        roundTripMs: undefined,
      }
    })
  }

  connectedPeers(): readonly NodeId[] {
    return [...this.#connected]
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
    return this.gossip.broadcast(message, this.#connected)
  }

  onBroadcast(validator: BroadcastValidator): void {
    this.gossip.validator = validator
  }

  async *request(peer: NodeId, request: Uint8Array, { signal }: RequestOptions): AsyncGenerator<Uint8Array> {
    this.#checkOpen()
    if (request.length > MAX_REQUEST_BYTES) {
      throw new MessageTooLargeError('request', request.length, MAX_REQUEST_BYTES)
    }
    if (!this.#connected.has(peer)) throw new PeerUnreachableError(peer)
    const number = this.#requests++
    const asking = new Asking(peer, this.#network.time)
    this.#asking.set(number, asking)
    this.#counters.requestsSent++
    this.#stream(peer, request.length, (at) => {
      at.answer(this.nodeId, number, request)
    })
    try {
      for await (const message of asking.read(signal, (bytes) => {
        this.#stream(peer, 0, (at) => at.#answering.get(this.nodeId)?.get(number)?.credit(bytes))
      })) {
        this.#counters.answerBytesReceived += message.length
        yield message
      }
    } finally {
      this.#asking.delete(number)
      this.#stream(peer, 0, (at) => at.#answering.get(this.nodeId)?.get(number)?.cancel())
    }
  }

  onRequest(handler: RequestHandler): void {
    this.#handler = handler
  }

  blame(peer: NodeId, points: number, reason: string): void {
    if (this.#conduct.blame(peer, points, this.#network.time.monotonicMs())) this.cut(peer, reason)
  }

  cut(peer: NodeId, reason: string): void {
    const untilMs = this.#conduct.cut(peer, reason, this.#network.time.monotonicMs())
    this.#counters.cuts++
    this.disconnected(peer, 'misbehaved', reason)
    this.#network.cut(this.nodeId, peer, untilMs)
  }

  close(): Promise<void> {
    if (!this.#closed) {
      this.#network.kill(this.nodeId)
      this.die()
    }
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  // What the network calls.

  /** @internal */
  connected(peer: NodeId): void {
    if (this.#connected.has(peer)) return
    this.#connected.add(peer)
    this.#records.set(peer, {
      sinceMicros: this.#network.time.nowMicros(),
      failure: this.#records.get(peer)?.failure,
    })
    this.gossip.connected(peer)
    this.#tell({ kind: 'connected', peer, address: `/memory/${peer}` })
  }

  /** @internal */
  disconnected(peer: NodeId, reason: FailureReason, message: string): void {
    if (!this.#connected.delete(peer)) return
    const nowMicros = this.#network.time.nowMicros()
    const failure = { reason, message, atMicros: nowMicros }
    this.#records.set(peer, { sinceMicros: nowMicros, failure })
    this.gossip.disconnected(peer)
    this.#endExchanges(peer)
    this.#tell({ kind: 'gone', peer, failure })
  }

  /** The process is no more: nobody is told. @internal */
  die(): void {
    this.#closed = true
    for (const peer of this.#connected) {
      this.gossip.disconnected(peer)
      this.#endExchanges(peer)
    }
    this.#connected.clear()
    this.#listeners.clear()
  }

  /** @internal */
  answer(peer: NodeId, number: number, request: Uint8Array): void {
    const ofPeer = this.#answering.get(peer) ?? new Map<number, Answering>()
    const underWay = Array.from(this.#answering.values()).reduce((sum, { size }) => sum + size, 0)
    const finish = (end: AnswerEnd): void => {
      this.#stream(peer, 0, (at) => at.#asking.get(number)?.finish(end))
    }
    if (this.#handler === undefined || ofPeer.size >= MAX_REQUESTS_PER_PEER || underWay >= MAX_REQUESTS) {
      finish({ kind: 'busy' })
      return
    }
    const answering = new Answering(this.#network.time)
    ofPeer.set(number, answering)
    this.#answering.set(peer, ofPeer)
    this.#counters.requestsAnswered++
    const send = (message: Uint8Array): void => {
      this.#counters.answerBytesSent += message.length
      this.#stream(peer, message.length, (at) => at.#asking.get(number)?.take(message))
    }
    void answering.run(this.#handler, peer, request, send).then((end) => {
      ofPeer.delete(number)
      finish(end)
    })
  }

  #stream(peer: NodeId, bytes: number, arrive: (at: MemoryTransport) => void): void {
    this.#network.carry(this.nodeId, peer, bytes + ENVELOPE_BYTES, 'stream', arrive)
  }

  #endExchanges(peer: NodeId): void {
    for (const asking of this.#asking.values()) {
      if (asking.peer === peer) asking.finish({ kind: 'failed', text: 'went away in the middle of its answer' })
    }
    for (const answering of this.#answering.get(peer)?.values() ?? []) answering.cancel()
    this.#answering.delete(peer)
  }

  #tell(event: TransportEvent): void {
    for (const listener of this.#listeners) listener(event)
  }

  #checkOpen(): void {
    if (this.#closed) throw new SwarmClosedError()
  }
}
