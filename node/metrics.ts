import { readdirSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import type { HistogramSnapshot, StoreMetrics } from '../storage/index.js'
import type { ApiCounters } from './api/index.js'
import type { EventCounters } from './events/node-events.js'

/** One metric of the exposition: its value is a number or a histogram. */
interface Metric {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly value: number | HistogramSnapshot
}

/** Where the figures come from. */
export interface MetricSources {
  readonly store: StoreMetrics
  readonly events: EventCounters
  /** Absent until the API listens. */
  readonly api: Readonly<ApiCounters> | undefined
  readonly version: string
}

/** Everything as Prometheus text, format 0.0.4. */
export function renderMetrics({ store, events, api, version }: MetricSources): string {
  const info = `# HELP millrace_info Version of the daemon.\n# TYPE millrace_info gauge\nmillrace_info{version="${version}"} 1\n`
  const apiPart = api === undefined ? '' : answersByStatus(api) + apiMetrics(api).map(render).join('')
  return info + apiPart + [...storeMetrics(store), ...eventMetrics(events), ...processMetrics()].map(render).join('')
}

function answersByStatus({ httpStatuses }: Readonly<ApiCounters>): string {
  const head = '# HELP millrace_http_answers_total Answers over HTTP.\n# TYPE millrace_http_answers_total counter\n'
  const lines = [...httpStatuses].map(
    ([status, count]) => `millrace_http_answers_total{status="${String(status)}"} ${String(count)}\n`,
  )
  return head + lines.join('')
}

function apiMetrics(api: Readonly<ApiCounters>): readonly Metric[] {
  return [
    counter('millrace_http_requests_total', 'Requests over HTTP.', api.httpRequests),
    gauge('millrace_http_streams_open', 'Streams over HTTP under way.', api.httpStreamsOpen),
    counter('millrace_socket_messages_total', 'Messages from WebSocket clients.', api.socketMessages),
    gauge('millrace_sockets_open', 'WebSocket connections.', api.socketsOpen),
    gauge('millrace_socket_requests_open', 'Requests over WebSocket under way.', api.socketRequestsOpen),
    counter('millrace_readers_cut_total', 'Connections cut because their reader took nothing.', api.readersCut),
  ]
}

function counter(name: string, help: string, value: number): Metric {
  return { name, help, type: 'counter', value }
}

function gauge(name: string, help: string, value: number): Metric {
  return { name, help, type: 'gauge', value }
}

function histogram(name: string, help: string, value: HistogramSnapshot): Metric {
  return { name, help, type: 'histogram', value }
}

function storeMetrics(store: StoreMetrics): readonly Metric[] {
  return [
    counter('millrace_commits_total', 'Commits that became durable.', store.commits),
    counter('millrace_committed_events_total', 'Events stored.', store.committedEvents),
    counter('millrace_committed_bytes_total', 'Bytes of event lines stored, uncompressed.', store.committedBytes),
    histogram('millrace_commit_seconds', 'Time from publish to durable.', store.commitSeconds),
    histogram('millrace_sync_seconds', 'Time of one write to the store.', store.syncSeconds),
    gauge('millrace_pending_appends', 'Publish requests that wait for their commit.', store.pendingAppends),
    counter('millrace_sealed_blocks_total', 'Blocks sealed.', store.sealedBlocks),
    counter('millrace_pruned_blocks_total', 'Blocks pruned.', store.prunedBlocks),
    counter('millrace_pruned_events_total', 'Events pruned.', store.prunedEvents),
    counter('millrace_pruned_bytes_total', 'Stored bytes pruned.', store.prunedBytes),
    histogram('millrace_prune_seconds', 'Time of one pass of retention.', store.pruneSeconds),
    counter('millrace_corrupt_records_total', 'Damaged records found.', store.corruptRecords),
    gauge('millrace_store_disk_bytes', 'Bytes below the directory of the topic.', store.bytesOnDisk),
    gauge('millrace_store_cache_bytes', 'Bytes in the cache of decoded blocks.', store.cacheBytes),
  ]
}

function eventMetrics(events: EventCounters): readonly Metric[] {
  return [
    counter('millrace_queries_total', 'Queries accepted.', events.queries),
    gauge('millrace_queries_running', 'Queries being answered.', events.queriesRunning),
    counter('millrace_subscriptions_total', 'Subscriptions accepted.', events.subscriptions),
    gauge('millrace_subscriptions_open', 'Open subscriptions.', events.subscriptionsOpen),
    counter('millrace_answered_bytes_total', 'Bytes of answers to queries and subscriptions.', events.answeredBytes),
  ]
}

function processMetrics(): readonly Metric[] {
  const memory = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  return [
    gauge('process_resident_memory_bytes', 'Resident memory.', memory.rss),
    gauge('nodejs_heap_used_bytes', 'Used heap of the JavaScript engine.', memory.heapUsed),
    gauge('nodejs_external_memory_bytes', 'Memory of buffers outside the heap.', memory.external),
    counter('process_cpu_seconds_total', 'User and system time.', (user + system) / 1e6),
    gauge('process_open_fds', 'Open file descriptors.', countOpenFiles()),
    gauge('process_start_time_seconds', 'Start, since 1970.', performance.timeOrigin / 1000),
    gauge('nodejs_eventloop_utilization', 'Share of time that the event loop was busy since start.', busyShare()),
  ]
}

function busyShare(): number {
  return performance.eventLoopUtilization().utilization
}

/** `NaN`, which Prometheus knows, where the system has no such listing. */
function countOpenFiles(): number {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return Number.NaN
  }
}

function render({ name, help, type, value }: Metric): string {
  const head = `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`
  return head + (typeof value === 'number' ? `${name} ${String(value)}\n` : renderHistogram(name, value))
}

function renderHistogram(name: string, { bounds, counts, sum, count }: HistogramSnapshot): string {
  const buckets = bounds.map((bound, index) => `${name}_bucket{le="${String(bound)}"} ${String(counts[index] ?? 0)}\n`)
  return `${buckets.join('')}${name}_bucket{le="+Inf"} ${String(count)}\n${name}_sum ${String(sum)}\n${name}_count ${String(count)}\n`
}
