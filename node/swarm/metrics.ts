import { parseStreamId, type StreamId } from '../../core/index.js'
import { SWARM_ALARMS, PEER_STATES } from '../api/index.js'
import { counter, gauge, gauges, renderMetric, type Metric } from '../exposition.js'
import type { NodeSwarm } from './node-swarm.js'

/** What is held of other nodes, and what is not. */
export interface LagSource {
  /** All streams that there is something of. */
  readonly streams: Iterable<StreamId>
  /** Events that are known of and not held. */
  readonly missing: ReadonlyMap<StreamId, number>
}

/** The swarm as Prometheus text, format 0.0.4. */
export function renderSwarmMetrics(swarm: NodeSwarm, lag: LagSource): string {
  const metrics = [...peerMetrics(swarm), ...lagMetrics(lag), ...trafficMetrics(swarm), ...replicationMetrics(swarm)]
  return metrics.map(renderMetric).join('')
}

function peerMetrics(swarm: NodeSwarm): readonly Metric[] {
  const { peers, alarms } = swarm.report()
  const count = (kind: string): number => alarms.filter((alarm) => alarm.kind === kind).length
  const inState = (state: string): number => peers.filter(({ status }) => status.state === state).length
  const lacking = swarm.peers().map(({ nodeId, lacks }) => [{ peer: nodeId }, sum(lacks.values())] as const)
  const roundTrips = peers.flatMap(({ status: { nodeId, roundTripMs } }) =>
    nodeId === undefined || roundTripMs === undefined ? [] : [[{ peer: nodeId }, roundTripMs / 1000] as const],
  )
  return [
    gauge('millrace_peers_connected', 'Connected peers.', swarm.connectedPeers.length),
    gauges(
      'millrace_peers',
      'Peers that are known, by state.',
      PEER_STATES.map((state) => [{ state }, inState(state)]),
    ),
    gauges('millrace_peer_round_trip_seconds', 'Last probe to a connected peer and back.', roundTrips),
    gauges('millrace_peer_lacking_events', 'Events that a connected peer had not when last compared.', lacking),
    gauges(
      'millrace_swarm_alarms',
      'Things in the swarm that somebody has to look after, by kind; see millrace peers.',
      SWARM_ALARMS.map((kind) => [{ kind }, count(kind)]),
    ),
  ]
}

/** By the node that wrote them, for there may be thousands of streams. */
function lagMetrics({ streams, missing }: LagSource): readonly Metric[] {
  const byOwner = new Map<string, number>()
  for (const stream of [...streams, ...missing.keys()]) byOwner.set(parseStreamId(stream).nodeId, 0)
  for (const [stream, count] of missing) {
    const { nodeId } = parseStreamId(stream)
    byOwner.set(nodeId, (byOwner.get(nodeId) ?? 0) + count)
  }
  return [
    gauges(
      'millrace_replication_missing_events',
      'Events of a node that are known to exist and are not here.',
      [...byOwner].map(([owner, count]) => [{ owner }, count]),
    ),
    gauge('millrace_replication_streams_behind', 'Streams of which events are missing here.', missing.size),
  ]
}

function sum(counts: Iterable<number>): number {
  let total = 0
  for (const count of counts) total += count
  return total
}

function trafficMetrics({ counters: { transport } }: NodeSwarm): readonly Metric[] {
  return [
    counter('millrace_swarm_sent_messages_total', 'Broadcasts sent, once per neighbour.', transport.sentMessages),
    counter('millrace_swarm_sent_bytes_total', 'Bytes of these.', transport.sentBytes),
    counter('millrace_swarm_received_messages_total', 'Broadcasts received.', transport.receivedMessages),
    counter('millrace_swarm_received_bytes_total', 'Bytes of these.', transport.receivedBytes),
    counter('millrace_swarm_duplicates_total', 'Broadcasts that came again.', transport.duplicates),
    counter('millrace_swarm_rejected_total', 'Broadcasts that were not valid.', transport.rejected),
    counter('millrace_swarm_dropped_total', 'Broadcasts not sent to a slow neighbour.', transport.dropped),
    counter('millrace_swarm_requests_sent_total', 'Requests to peers.', transport.requestsSent),
    counter(
      'millrace_swarm_requests_answered_total',
      'Requests of peers that were answered.',
      transport.requestsAnswered,
    ),
    counter('millrace_swarm_sent_answer_bytes_total', 'Bytes of answers to peers.', transport.answerBytesSent),
    counter('millrace_swarm_received_answer_bytes_total', 'Bytes of answers of peers.', transport.answerBytesReceived),
    counter('millrace_swarm_key_mismatches_total', 'Connections with another network key.', transport.keyMismatches),
    counter('millrace_swarm_cuts_total', 'Peers cut off for what they did.', transport.cuts),
  ]
}

function replicationMetrics({ counters: { replication } }: NodeSwarm): readonly Metric[] {
  return [
    counter('millrace_replication_runs_total', 'Runs of commits received by broadcast.', replication.runs),
    counter('millrace_replication_applied_total', 'Runs and blocks stored from broadcasts.', replication.applied),
    counter('millrace_replication_repeated_total', 'Broadcasts of what was held already.', replication.repeated),
    counter(
      'millrace_replication_malformed_total',
      'Broadcasts refused as forged or malformed.',
      replication.malformed,
    ),
    counter('millrace_replication_fetched_events_total', 'Events fetched from peers.', replication.fetchedEvents),
    counter('millrace_replication_fetched_bytes_total', 'Bytes in which they came.', replication.fetchedBytes),
    counter('millrace_replication_failed_fetches_total', 'Fetches that brought nothing.', replication.failedFetches),
  ]
}
