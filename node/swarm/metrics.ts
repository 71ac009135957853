import type { StreamId } from '../../core/index.js'
import type { NodeSwarm } from './node-swarm.js'

/** One figure per peer or stream; texts of labels are ids and need no escapes. */
interface LabelledMetric {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge'
  readonly values: readonly (readonly [labels: string, value: number])[]
}

/** The swarm as Prometheus text, format 0.0.4. */
export function renderSwarmMetrics(swarm: NodeSwarm, missing: ReadonlyMap<StreamId, number>): string {
  return [...peerMetrics(swarm), ...lagMetrics(swarm, missing), ...trafficMetrics(swarm), ...replicationMetrics(swarm)]
    .map(render)
    .join('')
}

function peerMetrics(swarm: NodeSwarm): LabelledMetric[] {
  const alarms = new Map<string, number>()
  for (const { kind } of swarm.alarms()) alarms.set(kind, (alarms.get(kind) ?? 0) + 1)
  return [
    gauge('millrace_peers_connected', 'Connected peers.', swarm.connectedPeers.length),
    {
      name: 'millrace_swarm_alarms',
      help: 'Things in the swarm that somebody has to look after, by kind; see millrace peers.',
      type: 'gauge',
      values: [...alarms].map(([kind, count]) => [`{kind="${kind}"}`, count]),
    },
  ]
}

function lagMetrics(swarm: NodeSwarm, missing: ReadonlyMap<StreamId, number>): LabelledMetric[] {
  const lacks = swarm
    .peers()
    .flatMap(({ nodeId, lacks }) =>
      [...lacks].map(([stream, count]) => [`{peer="${nodeId}",stream="${stream}"}`, count] as const),
    )
  return [
    {
      name: 'millrace_replication_missing_events',
      help: 'Events that other nodes have and this one has not, by stream; streams that do not lag are left out.',
      type: 'gauge',
      values: [...missing].map(([stream, count]) => [`{stream="${stream}"}`, count]),
    },
    {
      name: 'millrace_peer_lacking_events',
      help: 'Events that this node has and a connected peer had not at the last comparison, by stream.',
      type: 'gauge',
      values: lacks,
    },
  ]
}

function trafficMetrics({ counters: { transport } }: NodeSwarm): LabelledMetric[] {
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
    counter('millrace_swarm_answer_bytes_sent_total', 'Bytes of answers to peers.', transport.answerBytesSent),
    counter('millrace_swarm_answer_bytes_received_total', 'Bytes of answers of peers.', transport.answerBytesReceived),
    counter('millrace_swarm_key_mismatches_total', 'Connections with another network key.', transport.keyMismatches),
    counter('millrace_swarm_cuts_total', 'Peers cut off for what they did.', transport.cuts),
  ]
}

function replicationMetrics({ counters: { replication } }: NodeSwarm): LabelledMetric[] {
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

function counter(name: string, help: string, value: number): LabelledMetric {
  return { name, help, type: 'counter', values: [['', value]] }
}

function gauge(name: string, help: string, value: number): LabelledMetric {
  return { name, help, type: 'gauge', values: [['', value]] }
}

function render({ name, help, type, values }: LabelledMetric): string {
  const lines = values.map(([labels, value]) => `${name}${labels} ${String(value)}\n`)
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`
}
