import { Type, type Static } from '@sinclair/typebox'
import type { NodeId, StreamId } from '../../core/index.js'
import { exactly, integer, oneOf, orNull, textOrNull } from './reply-schemas.js'

/** How well a peer keeps up, in the words of the Actyx API. */
export type PeerState = 'LowLatency' | 'HighLatency' | 'PartiallyWorking' | 'NotWorking'

/** Everything that an alarm can be about. */
export const SWARM_ALARMS = [
  'fork',
  'own-history',
  'gap',
  'network-key',
  'identity',
  'misbehaved',
  'too-many-streams',
] as const

/** How a link to a peer can be. */
export const PEER_STATES = ['connected', 'connecting', 'waiting', 'cut'] as const

/** Something in the swarm that somebody has to look after. */
export interface SwarmAlarm {
  readonly kind: (typeof SWARM_ALARMS)[number]
  readonly stream: StreamId | undefined
  readonly peer: NodeId | undefined
  readonly sinceMicros: number
  /** A sentence for operators, and what to do. */
  readonly message: string
  readonly advice: string
}

/** The link to a peer, see `replication/transport.ts`. */
export interface SwarmLink {
  readonly nodeId: NodeId | undefined
  readonly source: 'configured' | 'discovered' | 'learnt' | 'incoming'
  readonly state: (typeof PEER_STATES)[number]
  readonly addresses: readonly string[]
  readonly direction: 'inbound' | 'outbound' | undefined
  readonly sinceMicros: number
  readonly nextDialMicros: number | undefined
  readonly failures: number
  readonly failure: { readonly reason: string; readonly message: string; readonly atMicros: number } | undefined
  readonly roundTripMs: number | undefined
}

/** How far its copy of the swarm's events is. */
export interface SwarmCopy {
  readonly quality: PeerState | undefined
  readonly comparedMicros: number | undefined
  readonly lacks: ReadonlyMap<StreamId, number>
  /** Up to which offset it held streams, exclusive, where that was not as far as this node. */
  readonly held: ReadonlyMap<StreamId, number>
}

export interface SwarmPeer {
  readonly status: SwarmLink
  /** Of connected peers. */
  readonly sync: SwarmCopy | undefined
}

/** The swarm as this node sees it. */
export interface SwarmReport {
  readonly topic: string
  readonly addresses: readonly string[]
  readonly peers: readonly SwarmPeer[]
  readonly alarms: readonly SwarmAlarm[]
}

const Failure = exactly(
  {
    reason: Type.String({ description: 'For programs' }),
    message: Type.String({ description: 'For people' }),
    at: Type.Integer({ description: 'Microseconds since 1970' }),
  },
  'What went wrong last; kept while connected',
)

const Peer = exactly(
  {
    nodeId: textOrNull('null for a configured address that has never answered'),
    state: oneOf(PEER_STATES, 'cut: not wanted for a while'),
    source: oneOf(['configured', 'discovered', 'learnt', 'incoming'], 'How this node came to know it'),
    direction: Type.Union([Type.Literal('inbound'), Type.Literal('outbound'), Type.Null()]),
    since: Type.Integer({ description: 'Microseconds since 1970: connected, or not, since then' }),
    addresses: Type.Array(Type.String(), {
      description: 'Multiaddrs; for a connected peer the one in use comes first',
    }),
    roundTripMs: Type.Union([Type.Number(), Type.Null()], { description: 'Milliseconds' }),
    status: textOrNull(
      'LowLatency, HighLatency, PartiallyWorking or NotWorking; null when not connected or not compared yet',
    ),
    lacks: integer('Events that this node holds and the peer did not when they last compared'),
    lackingStreams: Type.Record(Type.String(), Type.Integer(), { description: 'The same by stream id' }),
    comparedAt: orNull('Microseconds since 1970 of the last comparison'),
    failures: integer('Attempts in a row that failed'),
    nextDial: orNull('Microseconds since 1970 of the next attempt'),
    failure: Type.Union([Failure, Type.Null()]),
  },
  'One peer',
)

const Alarm = exactly(
  {
    kind: oneOf(SWARM_ALARMS, 'For programs'),
    stream: textOrNull('Stream id, where it is about one'),
    peer: textOrNull('Node id, where it is about one'),
    since: Type.Integer({ description: 'Microseconds since 1970' }),
    message: Type.String({ description: 'What is wrong' }),
    advice: Type.String({ description: 'What to do' }),
  },
  'Something that somebody has to look after',
)

export const PeersReply = exactly(
  {
    swarm: Type.Boolean({ description: 'Whether the node is part of a swarm: without swarm.key it is alone' }),
    topic: Type.String(),
    addresses: Type.Array(Type.String(), { description: 'Multiaddrs under which others reach this node' }),
    peers: Type.Array(Peer),
    alarms: Type.Array(Alarm),
  },
  'The swarm as this node sees it',
)

/** @param report `undefined` for a node that is alone */
export function renderPeers(report: SwarmReport | undefined, topic: string): string {
  const reply: Static<typeof PeersReply> = {
    swarm: report !== undefined,
    topic,
    addresses: [...(report?.addresses ?? [])],
    peers: (report?.peers ?? []).map(toPeerReply),
    alarms: (report?.alarms ?? []).map(toAlarmReply),
  }
  return JSON.stringify(reply)
}

function toPeerReply({ status, sync }: SwarmPeer): Static<typeof Peer> {
  const { nodeId, state, source, direction, sinceMicros, addresses, roundTripMs, failures, failure } = status
  const lacks = [...(sync?.lacks ?? [])]
  return {
    nodeId: nodeId ?? null,
    state,
    source,
    direction: direction ?? null,
    since: sinceMicros,
    addresses: [...addresses],
    roundTripMs: roundTripMs ?? null,
    status: sync?.quality ?? null,
    lacks: lacks.reduce((sum, [, count]) => sum + count, 0),
    lackingStreams: Object.fromEntries(lacks),
    comparedAt: sync?.comparedMicros ?? null,
    failures,
    nextDial: status.nextDialMicros ?? null,
    failure: failure === undefined ? null : { reason: failure.reason, message: failure.message, at: failure.atMicros },
  }
}

function toAlarmReply({ kind, stream, peer, sinceMicros, message, advice }: SwarmAlarm): Static<typeof Alarm> {
  return { kind, stream: stream ?? null, peer: peer ?? null, since: sinceMicros, message, advice }
}
