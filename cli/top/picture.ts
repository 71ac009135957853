import { parseStreamId } from '../../core/index.js'
import type { Limits, NodeAlarmReport, StreamReport, SwarmNodeReport } from '../../client/index.js'
import { quantileSince } from './metric-text.js'
import type { Reading } from './reading.js'

/** A stream, with what it took since the reading before. */
export interface StreamFigures {
  readonly stream: string
  readonly name: string | null
  /** Node id of the node that writes it. */
  readonly owner: string
  readonly own: boolean
  readonly events: number
  readonly storedBytes: number
  readonly eventsPerSecond: number | null
  readonly limits: Limits
  /** How much of the limit that is nearest is used up; above 1 until the next prune. `null` without limits. */
  readonly usedShare: number | null
}

/** Another node of the swarm. */
export interface PeerFigures {
  readonly nodeId: string | null
  readonly address: string | null
  readonly state: SwarmNodeReport['state']
  readonly status: string | null
  readonly roundTripMs: number | null
  /** Events that it lacked when it was last compared; `null` when that is not known. */
  readonly missing: number | null
  /** Age of the oldest of them, seconds. */
  readonly behindSeconds: number | null
  readonly error: string | null
}

/**
 * A node at one moment, as it is shown and as `-j` prints it. Rates, and the quantiles of syncs, are of the time since the
 * reading before; `null` is what is not known.
 */
export interface TopPicture {
  /** By the clock of the node, µs since 1970. */
  readonly at: number
  readonly node: {
    readonly nodeId: string
    readonly version: string
    readonly topic: string
    readonly uptimeSeconds: number
    /** Whether it takes events. */
    readonly ready: boolean
    /** 1 is a whole core. */
    readonly cpuShare: number | null
    readonly memoryBytes: number | null
    readonly diskFreeBytes: number | null
  }
  readonly input: {
    /** Events of this node, and of others. */
    readonly eventsPerSecond: number | null
    readonly bytesPerSecond: number | null
    readonly commitsPerSecond: number | null
    readonly syncP50Seconds: number | null
    readonly syncP99Seconds: number | null
    readonly pendingAppends: number | null
  }
  readonly output: {
    /** Events that queries and subscriptions got, or what queries made of them. */
    readonly rowsPerSecond: number | null
    readonly bytesPerSecond: number | null
    readonly queriesPerSecond: number | null
    readonly queriesRunning: number | null
    readonly subscriptions: number | null
  }
  readonly streams: readonly StreamFigures[]
  readonly inSwarm: boolean
  readonly peers: readonly PeerFigures[]
  readonly alarms: readonly NodeAlarmReport[]
}

/** @param before the reading before, of the same run of the node or not; `undefined` for the first one */
export function pictureOf(reading: Reading, before: Reading | undefined): TopPicture {
  const { info, metrics, swarm, alarms } = reading
  const last = before !== undefined && isSameRun(reading, before) ? before : undefined
  const rate = (name: string): number | null => rateOf(metrics.total(name), last?.metrics.total(name), reading, last)
  const gauge = (name: string): number | null => metrics.total(name) ?? null
  const sync = (share: number): number | null => {
    const name = 'millrace_sync_seconds'
    return quantileSince(last?.metrics.histogram(name) ?? [], metrics.histogram(name), share) ?? null
  }
  return {
    at: swarm.now,
    node: {
      nodeId: swarm.nodeId,
      version: metrics.label('millrace_info', 'version') ?? info.version,
      topic: swarm.topic,
      uptimeSeconds: info.uptime.secs,
      ready: metrics.total('millrace_ready') === 1,
      cpuShare: rate('process_cpu_seconds_total'),
      memoryBytes: gauge('process_resident_memory_bytes'),
      diskFreeBytes: gauge('millrace_disk_free_bytes'),
    },
    input: {
      eventsPerSecond: rate('millrace_committed_events_total'),
      bytesPerSecond: rate('millrace_committed_bytes_total'),
      commitsPerSecond: rate('millrace_commits_total'),
      syncP50Seconds: sync(0.5),
      syncP99Seconds: sync(0.99),
      pendingAppends: gauge('millrace_pending_appends'),
    },
    output: {
      rowsPerSecond: rate('millrace_answered_rows_total'),
      bytesPerSecond: rate('millrace_answered_bytes_total'),
      queriesPerSecond: rate('millrace_queries_total'),
      queriesRunning: gauge('millrace_queries_running'),
      subscriptions: gauge('millrace_subscriptions_open'),
    },
    streams: streamsOf(reading, last),
    inSwarm: swarm.swarm,
    peers: swarm.nodes.map(toPeer),
    alarms,
  }
}

/** Counters begin anew with each run of a node. */
function isSameRun(reading: Reading, before: Reading): boolean {
  const name = 'process_start_time_seconds'
  return (
    reading.swarm.nodeId === before.swarm.nodeId &&
    reading.info.uptime.secs >= before.info.uptime.secs &&
    reading.metrics.total(name) === before.metrics.total(name)
  )
}

function rateOf(
  now: number | undefined,
  then: number | undefined,
  reading: Reading,
  last: Reading | undefined,
): number | null {
  const seconds = last === undefined ? 0 : (reading.atMs - last.atMs) / 1000
  if (now === undefined || then === undefined || seconds <= 0) return null
  return Math.max(0, now - then) / seconds
}

function streamsOf(reading: Reading, last: Reading | undefined): readonly StreamFigures[] {
  const before = new Map(last?.streams.map(({ stream, nextOffset }) => [stream, nextOffset]))
  return reading.streams.map((status) => {
    const { stream, name, own, events, storedBytes, nextOffset, retention } = status
    // A stream that was not there began since then.
    const then = last === undefined ? undefined : (before.get(stream) ?? 0)
    return {
      stream,
      name,
      owner: parseStreamId(stream).nodeId,
      own,
      events,
      storedBytes,
      eventsPerSecond: rateOf(nextOffset, then, reading, last),
      limits: retention,
      usedShare: usedShareOf(status, reading.swarm.now),
    }
  })
}

/** Of the limit that is nearest, as the node itself names it. */
function usedShareOf({ decidedBy, retention, events, storedBytes, oldestTimestamp }: StreamReport, now: number) {
  switch (decidedBy) {
    case 'maxEvents':
      return shareOf(events, retention.maxEvents)
    case 'maxSize':
      return shareOf(storedBytes, retention.maxStoredBytes)
    case 'maxAge':
      return shareOf(oldestTimestamp === null ? 0 : now - oldestTimestamp, retention.maxAgeMicros)
    default:
      return null
  }
}

function shareOf(used: number, limit: number | null): number | null {
  return limit === null || limit === 0 ? null : used / limit
}

function toPeer(node: SwarmNodeReport): PeerFigures {
  const { nodeId, addresses, state, status, roundTripMs, comparedAt, missing, error } = node
  const ages = missing.flatMap(({ behind }) => (behind === null ? [] : [behind / 1_000_000]))
  return {
    nodeId,
    address: addresses[0] ?? null,
    state,
    status,
    roundTripMs,
    missing: comparedAt === null ? null : missing.reduce((sum, each) => sum + each.missing, 0),
    behindSeconds: ages.length === 0 ? null : Math.max(...ages),
    error: state === 'connected' ? null : error,
  }
}
