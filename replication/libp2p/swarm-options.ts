import type { Clock } from '../../core/index.js'
import type { KnownPeer } from './peer-exchange.js'
import type { SwarmSize } from './swarm-size.js'

/** How long things may take. Tests shorten them; nobody configures them. */
export interface SwarmTimings {
  /** One attempt to connect, all addresses of a peer together, ms. */
  readonly dialMs: number
  /** Between two probes of a link, ms. */
  readonly probeMs: number
  /** How long the answer to a probe may take while no broadcasts move, ms. */
  readonly patienceMs: number
  /** How long nothing at all may come from a peer, ms. Half of it earlier a probe asks for a sign of life. */
  readonly silenceMs: number
  /** How long a peer may take to send or read the next piece of a request or answer, ms. */
  readonly stallMs: number
  /** Between two questions for the peers of a peer, ms. */
  readonly exchangeMs: number
  /** How long a connection stands before it may have to make room for a newcomer, ms. */
  readonly stayMs: number
}

/** What every node uses. */
export const SWARM_TIMINGS: SwarmTimings = {
  dialMs: 8_000,
  probeMs: 10_000,
  patienceMs: 15_000,
  // When a network comes back, TCP waits as long again as it was away before it goes on. What has been silent for this
  // long is dialled anew instead, so that nodes find each other within seconds.
  silenceMs: 5_000,
  stallMs: 30_000,
  exchangeMs: 60_000,
  stayMs: 30_000,
}

/** What a swarm needs to know. */
export interface SwarmOptions {
  /** The seed of the node's identity: node id and peer id are the same key. */
  readonly seed: Uint8Array
  /** 32 bytes as base64. Only nodes with the same one get a connection. */
  readonly networkKey: string
  /** Nodes with different topics may be connected and do not hear each other's broadcasts. */
  readonly topic: string
  /** Multiaddrs to listen on; port 0 takes a free one. */
  readonly listen: readonly string[]
  /** Multiaddrs that are told to others beside those of the own interfaces, for example behind NAT. */
  readonly announce: readonly string[]
  /** Multiaddrs that are dialled until they answer, with or without `/p2p/…`. */
  readonly initialPeers: readonly string[]
  /** Who was connected in an earlier life, as far as it is right: dialled like peers that others tell of. */
  readonly rememberedPeers?: readonly KnownPeer[]
  /** Whether nodes are looked for in the local network. */
  readonly mdns: boolean
  readonly timings: SwarmTimings
  /** Without it what every node uses. */
  readonly size?: SwarmSize
  readonly clock: Clock
}
