import type { StoreMetrics, StreamTotals } from '../storage/index.js'
import type { Api, Health } from './api/index.js'
import type { EventCounters } from './events/node-events.js'
import { counter, counters, gauge, gauges, histogram, renderMetric, type Labels, type Metric } from './exposition.js'
import { processMetrics } from './process-metrics.js'
import type { EventLoopDelay } from './event-loop-delay.js'

/** Where the figures come from. */
export interface MetricSources {
  readonly store: StoreMetrics
  readonly health: Health
  readonly events: EventCounters
  /** Absent until the API listens. */
  readonly api: Pick<Api, 'counters' | 'memoryBytes'> | undefined
  readonly eventLoop: EventLoopDelay
  /** What the node is, as labels of `millrace_info`. */
  readonly info: { readonly version: string; readonly node: string; readonly topic: string }
}

/** Everything of a node that is alone as Prometheus text, format 0.0.4. */
export function renderMetrics({ store, health, events, api, eventLoop, info }: MetricSources): string {
  const metrics = [
    gauges('millrace_info', 'Version, node id and topic of the daemon.', [[{ ...info }, 1]]),
    gauge('millrace_ready', 'Whether events can be published: 1 or 0, as GET /ready says.', health.ready ? 1 : 0),
    ...problemMetrics(store),
    ...commitMetrics(store),
    ...contentMetrics(store),
    ...upkeepMetrics(store),
    ...diskMetrics(store),
    ...eventMetrics(events),
    ...(api === undefined ? [] : apiMetrics(api)),
    ...processMetrics(eventLoop.seconds),
  ]
  return metrics.map(renderMetric).join('')
}

function problemMetrics({ problems, corruptRecords }: StoreMetrics): readonly Metric[] {
  return [
    gauges(
      'millrace_store_problems',
      'What is wrong with the store now, by kind; GET /ready has the sentences.',
      [...problems].map(([kind, count]) => [{ kind }, count]),
    ),
    counter('millrace_corrupt_records_total', 'Damaged records found.', corruptRecords),
  ]
}

function commitMetrics(store: StoreMetrics): readonly Metric[] {
  return [
    counter('millrace_commits_total', 'Commits that became durable.', store.commits),
    counter(
      'millrace_committed_events_total',
      'Events committed, own ones and those of others.',
      store.committedEvents,
    ),
    counter('millrace_committed_bytes_total', 'Bytes of their lines, uncompressed.', store.committedBytes),
    histogram('millrace_commit_seconds', 'Time of a commit, from taking its requests to durable.', store.commitSeconds),
    histogram('millrace_sync_seconds', 'Part of it in the database and its fsync.', store.syncSeconds),
    gauge('millrace_pending_appends', 'Publish requests that wait for their commit.', store.pendingAppends),
  ]
}

/** What there is to read; `own` tells this node's streams from those of others. */
function contentMetrics({ own, replicas, ownStreams }: StoreMetrics): readonly Metric[] {
  const total = (pick: (totals: StreamTotals) => number): (readonly [Labels, number])[] => [
    [{ own: 'true' }, pick(own)],
    [{ own: 'false' }, pick(replicas)],
  ]
  const each = (pick: (totals: StreamTotals) => number): (readonly [Labels, number])[] =>
    ownStreams.map(({ stream, name = '', totals }) => [{ stream, name }, pick(totals)])
  return [
    gauges(
      'millrace_streams',
      'Streams with events, or that had some.',
      total(({ streams }) => streams),
    ),
    gauges(
      'millrace_events',
      'Events that can be read.',
      total(({ events }) => events),
    ),
    gauges(
      'millrace_tail_events',
      'Those of them in no sealed block.',
      total(({ tailEvents }) => tailEvents),
    ),
    gauges(
      'millrace_blocks',
      'Sealed blocks.',
      total(({ blocks }) => blocks),
    ),
    gauges(
      'millrace_stored_bytes',
      'Stored bytes, as maxSize counts them.',
      total(({ storedBytes }) => storedBytes),
    ),
    gauges(
      'millrace_stream_events',
      'Events that can be read of an own stream.',
      each(({ events }) => events),
    ),
    gauges(
      'millrace_stream_blocks',
      'Sealed blocks of an own stream.',
      each(({ blocks }) => blocks),
    ),
    gauges(
      'millrace_stream_stored_bytes',
      'Stored bytes of an own stream.',
      each(({ storedBytes }) => storedBytes),
    ),
  ]
}

function upkeepMetrics(store: StoreMetrics): readonly Metric[] {
  return [
    counter('millrace_sealed_blocks_total', 'Blocks sealed.', store.sealedBlocks),
    counter('millrace_healed_blocks_total', 'Damaged blocks replaced by those of other nodes.', store.healedBlocks),
    gauge('millrace_unsealed_bytes', 'Bytes of lines in full blocks that wait to be sealed.', store.unsealedBytes),
    gauge('millrace_unsealed_limit_bytes', 'Above this commits wait for sealing.', store.unsealedLimitBytes),
    counter('millrace_pruned_blocks_total', 'Blocks pruned.', store.prunedBlocks),
    counter('millrace_pruned_events_total', 'Events pruned.', store.prunedEvents),
    counter('millrace_pruned_bytes_total', 'Stored bytes pruned.', store.prunedBytes),
    histogram('millrace_prune_seconds', 'Time of one pass of retention that pruned something.', store.pruneSeconds),
    gauge('millrace_prune_age_seconds', 'Time since retention was last looked at to its end.', store.pruneAgeSeconds),
    gauge('millrace_prune_interval_seconds', 'How often that is to be done at least.', store.pruneIntervalSeconds),
  ]
}

function diskMetrics(store: StoreMetrics): readonly Metric[] {
  return [
    gauge('millrace_store_disk_bytes', 'Bytes below the directory of the topic.', store.bytesOnDisk),
    gauge('millrace_disk_free_bytes', 'Bytes that its file system has left for the node.', store.diskFreeBytes),
    gauge('millrace_disk_size_bytes', 'Size of that file system.', store.diskSizeBytes),
    gauge('millrace_store_cache_bytes', 'Bytes in the cache of decoded blocks.', store.cacheBytes),
  ]
}

function eventMetrics(events: EventCounters): readonly Metric[] {
  return [
    counter('millrace_queries_total', 'Queries accepted.', events.queries),
    gauge('millrace_queries_running', 'Queries being answered.', events.queriesRunning),
    histogram(
      'millrace_query_seconds',
      'Time of an answer to a query, that of its reader included.',
      events.querySeconds,
    ),
    counter('millrace_subscriptions_total', 'Subscriptions accepted.', events.subscriptions),
    gauge('millrace_subscriptions_open', 'Open subscriptions.', events.subscriptionsOpen),
    counter('millrace_answer_errors_total', 'Answers that ended with an error of the node.', events.answerErrors),
    counter('millrace_answered_rows_total', 'Rows of answers to queries and subscriptions.', events.answeredRows),
    counter('millrace_answered_bytes_total', 'Bytes of answers to queries and subscriptions.', events.answeredBytes),
  ]
}

function apiMetrics({ counters: api, memoryBytes }: Pick<Api, 'counters' | 'memoryBytes'>): readonly Metric[] {
  return [
    counter('millrace_http_requests_total', 'Requests over HTTP.', api.httpRequests),
    counters(
      'millrace_http_answers_total',
      'Answers over HTTP, by status.',
      [...api.httpStatuses].map(([status, count]) => [{ status: String(status) }, count]),
    ),
    gauge('millrace_http_streams_open', 'Streams over HTTP under way.', api.httpStreamsOpen),
    counter('millrace_socket_messages_total', 'Messages from WebSocket clients.', api.socketMessages),
    gauge('millrace_sockets_open', 'WebSocket connections.', api.socketsOpen),
    gauge('millrace_socket_requests_open', 'Requests over WebSocket under way.', api.socketRequestsOpen),
    counter('millrace_readers_cut_total', 'Connections cut because their reader took nothing.', api.readersCut),
    gauge('millrace_request_memory_bytes', 'Bytes of requests in flight, which api.limits.memory bounds.', memoryBytes),
  ]
}
