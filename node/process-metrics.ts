import { readdirSync, readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'
import type { HistogramSnapshot } from '../storage/index.js'
import { counter, gauge, gauges, histogram, type Metric } from './exposition.js'

/** What the process takes of the machine. Figures that the system does not give are `NaN`, which Prometheus knows. */
export function processMetrics(eventLoopDelay: HistogramSnapshot): readonly Metric[] {
  const memory = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  return [
    counter('process_cpu_seconds_total', 'User and system time.', (user + system) / 1e6),
    gauge('process_resident_memory_bytes', 'Resident memory.', memory.rss),
    gauge('process_open_fds', 'Open file descriptors.', countOpenFiles()),
    gauge('process_max_fds', 'File descriptors that the system allows.', maxOpenFiles()),
    gauge('process_start_time_seconds', 'Start, since 1970.', performance.timeOrigin / 1000),
    gauge('nodejs_heap_used_bytes', 'Used heap of the JavaScript engine.', memory.heapUsed),
    gauge('nodejs_heap_limit_bytes', 'Heap at which the process ends.', getHeapStatistics().heap_size_limit),
    gauge('nodejs_external_memory_bytes', 'Memory of buffers outside the heap.', memory.external),
    gauge('nodejs_active_resources', 'Open handles and requests of Node.', process.getActiveResourcesInfo().length),
    gauge('nodejs_eventloop_utilization', 'Share of time that the event loop was busy since start.', busyShare()),
    histogram('nodejs_eventloop_delay_seconds', 'How late a timer fired, looked at 4 times a second.', eventLoopDelay),
    gauges('nodejs_version_info', 'Version of Node.js.', [[{ version: process.version }, 1]]),
  ]
}

function busyShare(): number {
  return performance.eventLoopUtilization().utilization
}

function countOpenFiles(): number {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return Number.NaN
  }
}

/** Limits of a process hardly ever change while it runs. */
const maxOpenFiles = once(() => {
  try {
    return Number(/^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1])
  } catch {
    return Number.NaN
  }
})

function once(find: () => number): () => number {
  let found: number | undefined
  return () => (found ??= find())
}
