import { createHash } from 'node:crypto'
import { gossipsub, type GossipSub, type GossipSubComponents } from '@chainsafe/libp2p-gossipsub'
import { TopicValidatorResult, type Message } from '@libp2p/interface'
import type { NodeId } from '../../core/index.js'
import type { MutableCounters } from '../counters.js'
import { MAX_BROADCAST_BYTES, type BroadcastValidator, type Verdict } from '../transport.js'
import type { GossipLinks } from './gossip-links.js'
import { createMessageCache } from './message-cache.js'
import { nodeIdOf } from './peer-ids.js'

/** Heartbeats (of 1 s) for which messages are offered to peers who missed them, and for which they are kept. */
const OFFERED = 3
const KEPT = 5
/** How long a message is known, ms: longer than it travels, and short enough for many small messages. */
const SEEN_MS = 30_000
/** From this size on neighbours are told not to send what we have, bytes: it pays only for big messages. */
const DONT_WANT_BYTES = 64 * 1024
/** A sender waits no longer than this for the quickest neighbour, ms. */
const LONGEST_WAIT_MS = 5_000
/** Below this score gossipsub ignores a peer anyway: it is cut instead. */
const CUT_SCORE = -100

const VERDICTS: Readonly<Record<Verdict, TopicValidatorResult>> = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject,
}

export interface GossipOptions {
  readonly topic: string
  readonly links: GossipLinks
  readonly counters: MutableCounters
  readonly onReject: (from: NodeId) => void
}

type PlainRouter = ReturnType<ReturnType<typeof gossipsub>>
type Router = PlainRouter & Pick<GossipSub, 'getScore'>

/** Broadcasts by gossipsub, on one topic. */
export class Gossip {
  readonly #options: GossipOptions
  #pubsub: Router | undefined
  validator: BroadcastValidator | undefined

  constructor(options: GossipOptions) {
    this.#options = options
  }

  /** The service as libp2p makes it. */
  readonly service = (components: GossipSubComponents): PlainRouter => {
    const { privateKey, peerId, peerStore, registrar, connectionManager, logger } = components
    const guarded = this.#options.links.guard(registrar)
    const create = gossipsub(this.#settings())
    const pubsub = create({ privateKey, peerId, peerStore, registrar: guarded, connectionManager, logger })
    // The factory promises the plain interface only; what it makes is gossipsub.
    this.#pubsub = pubsub as Router
    return pubsub
  }

  /** To be called when libp2p has started. */
  subscribe(onSubscribed: (peer: NodeId) => void): void {
    const { topic } = this.#options
    this.#pubsub?.topicValidators.set(topic, async (peerId, message) => {
      const from = nodeIdOf(peerId)
      return from === undefined ? TopicValidatorResult.Ignore : VERDICTS[await this.#decide(message, from)]
    })
    this.#pubsub?.addEventListener('subscription-change', ({ detail }) => {
      const peer = nodeIdOf(detail.peerId)
      if (peer !== undefined) onSubscribed(peer)
    })
    this.#pubsub?.subscribe(topic)
  }

  /** Who wants our broadcasts. */
  subscribers(): ReadonlySet<NodeId> {
    const peers = this.#pubsub?.getSubscribers(this.#options.topic) ?? []
    return new Set(peers.flatMap((peerId) => nodeIdOf(peerId) ?? []))
  }

  /** Those whose behaviour on the protocol itself is beyond what can be an accident. */
  offenders(peers: Iterable<readonly [NodeId, string]>): NodeId[] {
    const bad: NodeId[] = []
    for (const [peer, peerId] of peers) if ((this.#pubsub?.getScore(peerId) ?? 0) < CUT_SCORE) bad.push(peer)
    return bad
  }

  async broadcast(message: Uint8Array): Promise<number> {
    const { links, counters, topic } = this.#options
    const sent = await this.#pubsub?.publish(topic, message)
    const peers = (sent?.recipients ?? []).flatMap((peerId) => nodeIdOf(peerId) ?? [])
    counters.sentMessages += peers.length
    counters.sentBytes += peers.length * message.length
    let timer: NodeJS.Timeout | undefined
    const longest = new Promise<void>((resolve) => (timer = setTimeout(resolve, LONGEST_WAIT_MS)))
    await Promise.race([links.room(peers), longest])
    clearTimeout(timer)
    return peers.length
  }

  async #decide({ data }: Message, from: NodeId): Promise<Verdict> {
    const { counters, onReject } = this.#options
    counters.receivedMessages++
    counters.duplicates--
    counters.receivedBytes += data.length
    let verdict: Verdict = 'ignore'
    try {
      verdict = data.length > MAX_BROADCAST_BYTES ? 'reject' : ((await this.validator?.(data, from)) ?? 'ignore')
    } catch {
      // A fault of ours is nothing that the sender could help.
    }
    if (verdict === 'reject') {
      counters.rejected++
      onReject(from)
    }
    return verdict
  }

  #settings(): Parameters<typeof gossipsub>[0] {
    const { topic } = this.#options
    return {
      // What is broadcast is signed inside, once; signing each message again costs a factor of five.
      globalSignaturePolicy: 'StrictNoSign',
      msgIdFn: ({ data }) => createHash('sha256').update(data).digest().subarray(0, 20),
      msgIdToStrFn: toText,
      emitSelf: false,
      fallbackToFloodsub: false,
      floodPublish: false,
      batchPublish: true,
      doPX: false,
      allowPublishToZeroTopicPeers: true,
      ignoreDuplicatePublishError: true,
      // The next frame of a peer is read when this one has been dealt with: so a slow validator slows its sender.
      awaitRpcHandler: true,
      awaitRpcMessageHandler: true,
      seenTTL: SEEN_MS,
      messageCache: createMessageCache(OFFERED, KEPT, toText),
      idontwantMinDataSize: DONT_WANT_BYTES,
      allowedTopics: [topic],
      // GossipLinks bounds frames and queues before these do.
      maxInboundDataLength: 2 * 1024 * 1024,
      maxOutboundBufferSize: 8 * 1024 * 1024,
      decodeRpcLimits: {
        maxSubscriptions: 64,
        maxMessages: 10_000,
        maxIhaveMessageIDs: 5_000,
        maxIwantMessageIDs: 5_000,
        maxIdontwantMessageIDs: 5_000,
        maxControlMessages: 5_000,
        maxPeerInfos: 16,
      },
      scoreParams: {
        // Nodes of one swarm often share an address: containers, NAT, tests.
        IPColocationFactorWeight: 0,
        behaviourPenaltyWeight: -10,
        behaviourPenaltyThreshold: 6,
        behaviourPenaltyDecay: 0.9,
        topics: {
          [topic]: {
            topicWeight: 1,
            timeInMeshWeight: 0,
            timeInMeshQuantum: 1000,
            timeInMeshCap: 3600,
            firstMessageDeliveriesWeight: 0.01,
            firstMessageDeliveriesDecay: 0.9,
            firstMessageDeliveriesCap: 1000,
            // Streams are quiet for hours: nobody is blamed for having nothing to pass on.
            meshMessageDeliveriesWeight: 0,
            meshMessageDeliveriesDecay: 0.5,
            meshMessageDeliveriesCap: 100,
            meshMessageDeliveriesThreshold: 1,
            meshMessageDeliveriesWindow: 10,
            meshMessageDeliveriesActivation: 5000,
            meshFailurePenaltyWeight: 0,
            meshFailurePenaltyDecay: 0.5,
            invalidMessageDeliveriesWeight: -1,
            invalidMessageDeliveriesDecay: 0.9,
          },
        },
      },
    }
  }
}

function toText(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('latin1')
}
