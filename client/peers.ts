import type { StreamId } from '../core/index.js'

/** A node of the swarm as another one sees it; times are µs since 1970. */
export interface PeerReport {
  /** `null` for a configured address that has never answered. */
  readonly nodeId: string | null
  readonly state: 'connected' | 'connecting' | 'waiting' | 'cut'
  readonly source: 'configured' | 'discovered' | 'learnt' | 'incoming'
  readonly direction: 'inbound' | 'outbound' | null
  readonly since: number
  readonly addresses: readonly string[]
  readonly roundTripMs: number | null
  readonly status: string | null
  /** Events that the asked node holds and the peer did not when they last compared; also by stream. */
  readonly lacks: number
  readonly lackingStreams: Readonly<Record<StreamId, number>>
  readonly comparedAt: number | null
  readonly failures: number
  readonly nextDial: number | null
  readonly failure: { readonly reason: string; readonly message: string; readonly at: number } | null
}

/** Something in the swarm that somebody has to look after. */
export interface AlarmReport {
  readonly kind: string
  readonly stream: StreamId | null
  readonly peer: string | null
  readonly since: number
  readonly message: string
  readonly advice: string
}

/** The swarm as one node sees it. */
export interface PeersReport {
  /** Without network key a node is alone. */
  readonly swarm: boolean
  readonly topic: string
  /** Multiaddrs under which others reach it. */
  readonly addresses: readonly string[]
  readonly peers: readonly PeerReport[]
  readonly alarms: readonly AlarmReport[]
}
