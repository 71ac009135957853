import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import type { ConnectionGater, Libp2p, MultiaddrConnection } from '@libp2p/interface'
import { mdns } from '@libp2p/mdns'
import { tcp } from '@libp2p/tcp'
import { createLibp2p } from 'libp2p'
import type { NetworkKeyError } from '../transport-errors.js'
import type { Gossip } from './gossip.js'
import { KeyProtector } from './key-protector.js'
import type { SwarmOptions } from './swarm-options.js'
import { serviceOfKey } from './mdns-service.js'
import { SWARM_SIZE } from './swarm-size.js'
import type { TrafficBook } from './traffic.js'

/** Connections that are still exchanging keys. Strangers can take no more than these, each for some seconds. */
const MAX_GREETINGS = 64
const GREETING_MS = 5_000
/** New connections from one host a second: nodes behind one NAT come back together. */
const MAX_PER_HOST = 50
/** Streams that one peer may have open: requests, gossip, identify. */
const MAX_STREAMS = 64
/** What a peer may have under way in one stream, bytes: at first, and at most when we read quickly. */
const STREAM_WINDOW = { initial: 256 * 1024, most: 4 * 1024 * 1024 } as const
/** Pieces in which streams share a connection, bytes. */
const MUX_PIECE_BYTES = 128 * 1024
/** A connection on which nothing comes is found out after this, ms. */
const KEEP_ALIVE_MS = 15_000

export interface HostParts {
  readonly key: Buffer
  readonly traffic: TrafficBook
  readonly gossip: Gossip
  readonly gater: ConnectionGater
  readonly onMismatch: (connection: MultiaddrConnection, error: NetworkKeyError) => void
}

/** libp2p with everything that a swarm needs, not yet started. */
export async function createHost(options: SwarmOptions, parts: HostParts): Promise<Libp2p> {
  const { most } = options.size ?? SWARM_SIZE
  return createLibp2p({
    start: false,
    privateKey: await generateKeyPairFromSeed('Ed25519', options.seed),
    addresses: { listen: [...options.listen], appendAnnounce: [...options.announce] },
    transports: [tcp({ maxConnections: most + MAX_GREETINGS, socketCloseTimeout: 500 })],
    connectionProtector: () => new KeyProtector(parts.key, parts.traffic, parts.onMismatch),
    connectionEncrypters: [noise()],
    streamMuxers: [
      yamux({
        maxInboundStreams: MAX_STREAMS,
        maxOutboundStreams: 2 * MAX_STREAMS,
        initialStreamWindowSize: STREAM_WINDOW.initial,
        maxStreamWindowSize: STREAM_WINDOW.most,
        maxMessageSize: MUX_PIECE_BYTES,
        enableKeepAlive: true,
        keepAliveInterval: KEEP_ALIVE_MS,
      }),
    ],
    connectionGater: parts.gater,
    connectionManager: {
      maxConnections: 2 * most,
      maxIncomingPendingConnections: MAX_GREETINGS,
      inboundConnectionThreshold: MAX_PER_HOST,
      inboundUpgradeTimeout: GREETING_MS,
      inboundStreamProtocolNegotiationTimeout: GREETING_MS,
      dialTimeout: options.timings.dialMs,
      // Who is dialled, when and how often is decided by Dialer.
      reconnectRetries: 0,
    },
    // Links are probed where it matters: see GossipLinks.
    connectionMonitor: { enabled: false },
    peerDiscovery: options.mdns ? [mdns({ serviceTag: serviceOfKey(parts.key) })] : [],
    services: { identify: identify({ agentVersion: 'millrace' }), gossip: parts.gossip.service },
  })
}
