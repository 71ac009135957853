import { Type, type Static } from '@sinclair/typebox'
import { parseStreamId, type NodeId, type StreamId } from '../../core/index.js'
import { PEER_STATES, type SwarmLink } from './peers-reply.js'
import { exactly, integer, oneOf, orNull, textOrNull } from './reply-schemas.js'

/** The swarm as this node sees it, as a map and as a matrix. */
export interface SwarmPicture {
  readonly nodeId: NodeId
  readonly topic: string
  readonly isInSwarm: boolean
  readonly addresses: readonly string[]
  readonly streams: readonly SwarmStream[]
  /** What of these is not here. */
  readonly missing: readonly MissingEvents[]
  readonly nodes: readonly SwarmNode[]
}

/** A column of the matrix. */
export interface SwarmStream {
  readonly stream: StreamId
  readonly name: string | undefined
  readonly isOwn: boolean
  /** Offset after the newest event that this node holds. */
  readonly nextOffset: number
  /** Offset after the newest event that its owner has signed, as far as this node has heard. */
  readonly knownOffset: number
}

/** A cell of the matrix in which something is missing. */
export interface MissingEvents {
  readonly stream: StreamId
  /** Offset after the newest event that is there. */
  readonly nextOffset: number
  readonly missing: number
  /** Time of the oldest missing event, µs since 1970; `undefined` when it is not held here either. */
  readonly sinceMicros: number | undefined
}

/** Another node, and what it lacks. */
export interface SwarmNode {
  readonly link: SwarmLink
  readonly quality: string | undefined
  /** When it last told what it holds, µs since 1970; what it lacks is of that time. */
  readonly comparedMicros: number | undefined
  readonly missing: readonly MissingEvents[]
}

const Missing = exactly(
  {
    stream: Type.String({ description: 'Stream id' }),
    nextOffset: integer('Offset after the newest event that is there'),
    missing: integer('Events that are not', 1),
    behind: orNull(
      'Microseconds: age of the oldest event that is missing; null when this node does not hold it either',
    ),
  },
  'A stream that is not there in whole',
)

const Node = exactly(
  {
    nodeId: textOrNull('null for a configured address that has never answered'),
    state: oneOf(PEER_STATES, 'cut: not wanted for a while'),
    since: Type.Integer({ description: 'Microseconds since 1970: connected, or not, since then' }),
    addresses: Type.Array(Type.String(), {
      description: 'Multiaddrs; for a connected node the one in use comes first',
    }),
    roundTripMs: Type.Union([Type.Number(), Type.Null()], { description: 'Milliseconds' }),
    status: textOrNull(
      'LowLatency, HighLatency, PartiallyWorking or NotWorking; null when not connected or not compared',
    ),
    error: textOrNull('What went wrong last with the connection'),
    errorAt: orNull('Microseconds since 1970'),
    comparedAt: orNull('Microseconds since 1970: what is missing there is of that time; null when that is not known'),
    missing: Type.Array(Missing, {
      description: 'Streams that it did not have in whole then; of all others nothing is missing',
    }),
  },
  'Another node',
)

const Stream = exactly(
  {
    stream: Type.String({ description: 'Stream id' }),
    owner: Type.String({ description: 'Node id of the node that writes it' }),
    name: textOrNull('Name, where it is known'),
    own: Type.Boolean({ description: 'Whether this node writes it' }),
    nextOffset: integer('Offset after the newest event that this node holds'),
    knownOffset: integer('Offset after the newest event that its owner has signed, as far as this node has heard'),
  },
  'A stream of the swarm',
)

export const SwarmReply = exactly(
  {
    swarm: Type.Boolean({ description: 'Whether the node is part of a swarm: without swarm.key it is alone' }),
    nodeId: Type.String({ description: 'The node that answers' }),
    topic: Type.String(),
    now: Type.Integer({ description: 'Microseconds since 1970 by the clock of the node' }),
    addresses: Type.Array(Type.String(), { description: 'Multiaddrs under which others reach this node' }),
    streams: Type.Array(Stream, { description: 'Those of this node first' }),
    missing: Type.Array(Missing, { description: 'What is missing here' }),
    nodes: Type.Array(Node, { description: 'All others, connected or not' }),
  },
  'Who is in the swarm, and who has what of whom',
)

export function renderSwarm(picture: SwarmPicture, nowMicros: number): string {
  const reply: Static<typeof SwarmReply> = {
    swarm: picture.isInSwarm,
    nodeId: picture.nodeId,
    topic: picture.topic,
    now: nowMicros,
    addresses: [...picture.addresses],
    streams: picture.streams.map(toStream),
    missing: toMissing(picture.missing, nowMicros),
    nodes: picture.nodes.map((node) => toNode(node, nowMicros)),
  }
  return JSON.stringify(reply)
}

function toStream({ stream, name, isOwn, nextOffset, knownOffset }: SwarmStream): Static<typeof Stream> {
  return { stream, owner: parseStreamId(stream).nodeId, name: name ?? null, own: isOwn, nextOffset, knownOffset }
}

function toMissing(missing: readonly MissingEvents[], nowMicros: number): Static<typeof Missing>[] {
  return missing.map(({ sinceMicros, ...cell }) => ({
    ...cell,
    behind: sinceMicros === undefined ? null : Math.max(0, nowMicros - sinceMicros),
  }))
}

function toNode({ link, quality, comparedMicros, missing }: SwarmNode, nowMicros: number): Static<typeof Node> {
  const { nodeId, state, sinceMicros, addresses, roundTripMs, failure } = link
  return {
    nodeId: nodeId ?? null,
    state,
    since: sinceMicros,
    addresses: [...addresses],
    roundTripMs: roundTripMs ?? null,
    status: quality ?? null,
    error: failure?.message ?? null,
    errorAt: failure?.atMicros ?? null,
    comparedAt: comparedMicros ?? null,
    missing: toMissing(missing, nowMicros),
  }
}
