import { parseStreamId } from '../../core/index.js'
import type { ReplicationPolicy } from '../../replication/index.js'
import { AUDIT_STREAM } from '../audit/audit-stream.js'
import type { DaemonSettings, WantedStreams } from '../daemon-settings.js'

/** Stands in the settings for all streams that are not named. */
const ALL_OTHERS = '*'

/** What the settings say about replication. */
export function policyOf({ swarm, replication, notReplicated }: DaemonSettings): ReplicationPolicy {
  const { headsIntervalMs, maxStreams, maxStreamsPerNode } = swarm
  const { keep, streams } = replication
  return {
    headsIntervalMs,
    maxStreams,
    maxStreamsPerNode,
    isShared: (name) => name !== AUDIT_STREAM && !notReplicated.has(name),
    isWanted: (stream, name) => streams === undefined || streams.some((wish) => fits(wish, stream, name)),
    limitsOf: (name) => keep.get(name) ?? keep.get(ALL_OTHERS),
  }
}

function fits({ node, stream: wantedName }: WantedStreams, stream: string, name: string): boolean {
  if (wantedName !== undefined && wantedName !== name) return false
  return node === undefined || parseStreamId(stream).nodeId === node
}
