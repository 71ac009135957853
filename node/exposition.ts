import type { HistogramSnapshot } from '../storage/index.js'

/** Names and values of labels. */
export type Labels = Readonly<Record<string, string>>

/** One metric as Prometheus reads it: a histogram, or any number of samples that differ in their labels. */
export interface Metric {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly values: HistogramSnapshot | readonly (readonly [labels: Labels, value: number])[]
}

/** What only grows; its name ends in `_total`. */
export function counter(name: string, help: string, value: number): Metric {
  return { name, help, type: 'counter', values: [[{}, value]] }
}

/** As {@link counter}, with one sample per set of labels. */
export function counters(name: string, help: string, values: readonly (readonly [Labels, number])[]): Metric {
  return { name, help, type: 'counter', values }
}

/** What goes up and down. */
export function gauge(name: string, help: string, value: number): Metric {
  return { name, help, type: 'gauge', values: [[{}, value]] }
}

/** As {@link gauge}, with one sample per set of labels. */
export function gauges(name: string, help: string, values: readonly (readonly [Labels, number])[]): Metric {
  return { name, help, type: 'gauge', values }
}

export function histogram(name: string, help: string, values: HistogramSnapshot): Metric {
  return { name, help, type: 'histogram', values }
}

/** Prometheus text, format 0.0.4. */
export function renderMetric({ name, help, type, values }: Metric): string {
  const head = `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`
  if ('bounds' in values) return head + renderHistogram(name, values)
  return head + values.map(([labels, value]) => `${name}${renderLabels(labels)} ${String(value)}\n`).join('')
}

function renderHistogram(name: string, { bounds, counts, sum, count }: HistogramSnapshot): string {
  const buckets = bounds.map((bound, index) => `${name}_bucket{le="${String(bound)}"} ${String(counts[index] ?? 0)}\n`)
  return `${buckets.join('')}${name}_bucket{le="+Inf"} ${String(count)}\n${name}_sum ${String(sum)}\n${name}_count ${String(count)}\n`
}

function renderLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${escapeLabel(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

/** The name of a topic may hold nearly anything. */
function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
