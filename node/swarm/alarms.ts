import { parseStreamId, type NodeId } from '../../core/index.js'
import type { PeerFailure, PeerStatus, StuckStream } from '../../replication/index.js'
import type { ForkProof, SignedHead } from '../../storage/index.js'
import type { SwarmAlarm } from '../api/index.js'

/** What alarms are made of. */
export interface AlarmSources {
  readonly forks: readonly ForkProof[]
  /** Own streams of which others hold more. */
  readonly ownAhead: readonly SignedHead[]
  readonly stuck: readonly StuckStream[]
  readonly peers: readonly PeerStatus[]
  /** Who was refused lately, by address. */
  readonly refused: ReadonlyMap<string, PeerFailure>
  readonly refusedStreams: number
  readonly nowMicros: number
}

/** Alarms of one kind that are told one by one. Whoever is hostile can bring about as many as he likes. */
const MAX_OF_A_KIND = 50

/** Everything that somebody has to look after, in sentences, with what to do. */
export function alarmsOf(sources: AlarmSources): readonly SwarmAlarm[] {
  return [
    ...bounded(sources.forks.map(forkAlarm)),
    ...bounded(sources.ownAhead.map(ownAheadAlarm)),
    ...bounded(sources.stuck.map(gapAlarm)),
    ...bounded(sources.peers.flatMap(peerAlarm)),
    ...[...sources.refused].map(([address, failure]) => refusedAlarm(address, failure)),
    ...tooManyAlarm(sources),
  ]
}

/** The newest ones, and how many there are beside them. */
function bounded(alarms: readonly SwarmAlarm[]): readonly SwarmAlarm[] {
  const [first] = alarms
  if (first === undefined || alarms.length <= MAX_OF_A_KIND) return alarms
  const newest = alarms.toSorted((one, other) => other.sinceMicros - one.sinceMicros).slice(0, MAX_OF_A_KIND)
  const message = `there are ${String(alarms.length - MAX_OF_A_KIND)} more alarms like these`
  return [...newest, { ...first, stream: undefined, peer: undefined, message }]
}

function forkAlarm({ stream, reason, foundMicros }: ForkProof): SwarmAlarm {
  const { nodeId } = parseStreamId(stream)
  return {
    kind: 'fork',
    stream,
    peer: nodeId,
    sinceMicros: foundMicros,
    message: `node ${nodeId} has written two histories of stream ${stream}: ${reason}`,
    advice:
      'its key was copied, or it goes on from an older backup: run `millrace identity epoch` on a restored node, ' +
      '`millrace identity renew` on all but one of the nodes that share a key',
  }
}

function ownAheadAlarm({ stream, nextOffset, timeMicros }: SignedHead): SwarmAlarm {
  return {
    kind: 'own-history',
    stream,
    peer: parseStreamId(stream).nodeId,
    sinceMicros: timeMicros,
    message: `others hold events of this node up to offset ${String(nextOffset - 1)} of stream ${stream}, which it has lost`,
    advice: 'the data are those of an older backup: run `millrace identity epoch`; it keeps what others hold',
  }
}

function gapAlarm({ stream, from, to, sinceMicros }: StuckStream): SwarmAlarm {
  return {
    kind: 'gap',
    stream,
    peer: parseStreamId(stream).nodeId,
    sinceMicros,
    message: `no connected node can give offsets ${String(from)} to ${String(to - 1)} of stream ${stream}`,
    advice: 'connect a node that has them, the owner for example; they are fetched by themselves then',
  }
}

function peerAlarm({ nodeId, state, failure, addresses }: PeerStatus): SwarmAlarm[] {
  if (state === 'connected' || failure === undefined) return []
  const who = nodeId ?? addresses[0] ?? 'a peer'
  if (failure.reason === 'network-key' || failure.reason === 'identity') {
    return [connectionAlarm(failure, who, nodeId)]
  }
  if (state !== 'cut') return []
  return [
    {
      kind: 'misbehaved',
      stream: undefined,
      peer: nodeId,
      sinceMicros: failure.atMicros,
      message: `${who} was cut off: ${failure.message}`,
      advice: 'find out which version runs there and who runs it; it may connect again after a while',
    },
  ]
}

function refusedAlarm(address: string, failure: PeerFailure): SwarmAlarm {
  return connectionAlarm(failure, address, undefined)
}

function connectionAlarm(failure: PeerFailure, who: string, peer: NodeId | undefined): SwarmAlarm {
  const { reason, atMicros: sinceMicros, message } = failure
  const advice =
    reason === 'network-key'
      ? 'give all nodes of the swarm the same swarm.key'
      : 'correct the peer id in swarm.peers, or find out who answers under that address'
  return {
    kind: reason === 'network-key' ? 'network-key' : 'identity',
    stream: undefined,
    peer,
    sinceMicros,
    message: `${who}: ${message}`,
    advice,
  }
}

function tooManyAlarm({ refusedStreams, nowMicros }: AlarmSources): SwarmAlarm[] {
  if (refusedStreams === 0) return []
  return [
    {
      kind: 'too-many-streams',
      stream: undefined,
      peer: undefined,
      sinceMicros: nowMicros,
      message: 'streams of other nodes were refused because there are too many',
      advice: 'raise swarm.maxStreams or swarm.maxStreamsPerNode, or name the wanted ones in replication.streams',
    },
  ]
}
