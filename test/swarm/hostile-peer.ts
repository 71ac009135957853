import { randomBytes } from 'node:crypto'
import { systemClock, type NodeId } from '../../core/index.js'
import {
  BUCKETS,
  decodeAnswer,
  encodeLive,
  encodeRequest,
  openSwarm,
  SWARM_TIMINGS,
  type LiveMessage,
  type SyncAnswer,
  type SyncRequest,
  type Transport,
} from '../../replication/index.js'
import { decodeHead, type SignedHead } from '../../storage/index.js'
import { Forger } from '../support/forgery.js'
import { RawNode } from '../replication/raw-node.js'
import { delay } from '../faults/kill.js'
import { check } from '../faults/part.js'

export interface Target {
  readonly nodeId: NodeId
  /** Multiaddrs. */
  readonly addresses: readonly string[]
  readonly networkKey: string
  readonly topic: string
}

/** Time until somebody counts as connected, ms. */
const CONNECT_MS = 20_000

/** A member of the swarm that keeps no rule but those of the transport; for the others it has a raw node. */
export class HostilePeer {
  readonly target: Target
  readonly transport: Transport
  readonly forger: Forger
  readonly #closers: (() => unknown)[] = []

  private constructor(target: Target, transport: Transport, forger: Forger) {
    this.target = target
    this.transport = transport
    this.forger = forger
    transport.onBroadcast(() => Promise.resolve('ignore'))
  }

  static async connect(target: Target): Promise<HostilePeer> {
    const seed = randomBytes(32)
    const { networkKey, topic, addresses, nodeId } = target
    const transport = await openSwarm({
      seed,
      networkKey,
      topic,
      listen: ['/ip4/127.0.0.1/tcp/0'],
      announce: [],
      initialPeers: addresses,
      mdns: false,
      timings: SWARM_TIMINGS,
      clock: systemClock,
    })
    const peer = new HostilePeer(target, transport, new Forger(seed, topic))
    const deadline = performance.now() + CONNECT_MS
    while (!transport.connectedPeers().includes(nodeId)) {
      check(performance.now() < deadline, () => 'the hostile peer does not get in')
      await delay(20)
    }
    return peer
  }

  get nodeId(): NodeId {
    return this.forger.identity.nodeId
  }

  get isConnected(): boolean {
    return this.transport.connectedPeers().includes(this.target.nodeId)
  }

  /** Broadcasts as long as the victim listens. */
  async say(message: LiveMessage): Promise<void> {
    if (this.isConnected) await this.transport.broadcast(encodeLive(message)).catch(() => undefined)
  }

  async sayBytes(bytes: Uint8Array): Promise<void> {
    if (this.isConnected) await this.transport.broadcast(bytes).catch(() => undefined)
  }

  /** What the victim answers, up to a number of messages. */
  async ask(request: SyncRequest | Uint8Array, limit = Infinity): Promise<SyncAnswer[]> {
    const answers: SyncAnswer[] = []
    const bytes = request instanceof Uint8Array ? request : encodeRequest(request)
    const signal = AbortSignal.timeout(10_000)
    try {
      for await (const piece of this.transport.request(this.target.nodeId, bytes, { signal })) {
        const answer = decodeAnswer(piece)
        if (answer !== undefined) answers.push(answer)
        if (answers.length >= limit) break
      }
    } catch {
      // Refused, or cut: that is what this is about.
    }
    return answers
  }

  /** The newest head of a node's stream, as the victim knows it. */
  async headOf(nodeId: NodeId): Promise<SignedHead> {
    for (let attempt = 0; attempt < 20; attempt++) {
      const answers = await this.ask({ kind: 'heads', buckets: Buffer.alloc(BUCKETS / 8, 0xff), known: [] })
      const heads = answers.flatMap((answer) => (answer.kind === 'heads' ? answer.heads : []))
      const head = heads.map(({ head }) => decodeHead(head)).find((head) => head?.stream.startsWith(nodeId) === true)
      if (head !== undefined) return head
      await delay(50)
    }
    throw new Error('the victim does not tell of the honest stream')
  }

  /** Somebody else with the network key, on the protocols below. */
  raw(): Promise<RawNode> {
    const { networkKey } = this.target
    return RawNode.open({ teardown: (close: () => unknown) => this.#closers.push(close) }, networkKey)
  }

  async close(): Promise<void> {
    await Promise.all(this.#closers.map((close) => close()))
    await this.transport.close()
  }
}
