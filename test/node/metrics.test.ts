import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { openDaemonPair } from '../support/daemon-pair.js'
import { DaemonProcess } from '../support/daemon.js'
import { readExposition, type ShownMetric } from '../support/exposition.js'
import { until } from '../support/store.js'

const root = fileURLToPath(new URL('../../../', import.meta.url))

type Metrics = ReadonlyMap<string, ShownMetric>

async function metricsOf({ url }: DaemonProcess): Promise<Metrics> {
  const response = await fetch(`${url}/metrics`)
  return readExposition(await response.text())
}

async function post(daemon: DaemonProcess, path: string, body: object, token = ''): Promise<string> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` }
  const response = await fetch(`${daemon.url}/api/v2/${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  return response.text()
}

async function tokenOf(daemon: DaemonProcess): Promise<string> {
  const manifest = { appId: 'com.example.metrics', displayName: 'metrics', version: '1' }
  return (JSON.parse(await post(daemon, 'auth', manifest)) as { token: string }).token
}

/** The sum of the samples that have these labels. */
function valueOf(metrics: Metrics, name: string, labels: Readonly<Record<string, string>> = {}): number {
  const samples = (metrics.get(name)?.samples ?? []).filter((sample) =>
    Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  )
  return samples.reduce((sum, { value }) => sum + value, samples.length === 0 ? Number.NaN : 0)
}

// Two nodes of which each has written and holds what the other one wrote.
const pair = await openDaemonPair(
  t,
  `eventRouting: { routes: [{ from: "'odd'", into: odd }], streams: { odd: { maxEvents: 40 } } }`,
)
const [first, second] = pair.daemons
for (const daemon of [first, second]) {
  const token = await tokenOf(daemon)
  const data = Array.from({ length: 90 }, (_, n) => ({ tags: ['odd'], payload: n }))
  await post(daemon, 'events/publish', { data: [...data, { tags: ['plain'], payload: 'x' }] }, token)
  await post(daemon, 'events/query', { query: 'FROM allEvents', order: 'asc' }, token)
}
let shown: Metrics = new Map()
await until(async () => {
  shown = await metricsOf(first)
  return (
    valueOf(shown, 'millrace_peer_lacking_events') === 0 &&
    valueOf(shown, 'millrace_peer_round_trip_seconds') > 0 &&
    valueOf(shown, 'millrace_stored_bytes', { own: 'false' }) > 0 &&
    valueOf(shown, 'millrace_streams', { own: 'false' }) === 2 &&
    valueOf(shown, 'millrace_replication_missing_events', { owner: second.ready.nodeId }) === 0 &&
    valueOf(shown, 'millrace_pruned_blocks_total') > 0 &&
    valueOf(shown, 'millrace_disk_free_bytes') > 0
  )
})

interface Documented {
  readonly type: string
  readonly labels: readonly string[]
  readonly unit: string
  /** Of the section that it stands in. */
  readonly heading: string
}

/** The tables of docs/metrics.md. */
async function documented(): Promise<Map<string, Documented>> {
  const found = new Map<string, Documented>()
  for (const section of (await readFile(join(root, 'docs/metrics.md'), 'utf8')).split(/^## /m).slice(1)) {
    const heading = section.slice(0, section.indexOf('\n'))
    for (const line of section.split('\n').filter((text) => text.startsWith('| `'))) {
      const [, name = '', type = '', labels = '', unit = ''] = line.split('|').map((cell) => cell.trim())
      const names = [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label!)
      found.set(name.replaceAll('`', ''), { type, labels: names.sort(), unit, heading })
    }
  }
  return found
}

const inDocs = await documented()

t.test('docs/metrics.md lists what a node of a swarm shows, and nothing else', (t) => {
  t.same([...inDocs.keys()].sort(), [...shown.keys()].sort())
  for (const [name, { type, labels, samples }] of shown) {
    t.ok(samples.length > 0, `${name} has samples`)
    t.same({ type, labels }, { type: inDocs.get(name)?.type, labels: inDocs.get(name)?.labels }, name)
  }
  t.end()
})

t.test('names say type and unit', (t) => {
  for (const [name, { type, help }] of shown) {
    t.match(name, /^(?:millrace|process|nodejs)_[a-z_]+[a-z]$/)
    t.equal(name.endsWith('_total'), type === 'counter', `${name} is a ${type}`)
    t.match(help, /^[A-Z].*\.$/, name)
    const base = name.replace(/_total$/, '')
    const unit = /_(seconds|bytes)$/.exec(base)?.[1] ?? (base.endsWith('utilization') ? 'ratio' : '')
    t.equal(inDocs.get(name)?.unit, unit, `unit of ${name}`)
  }
  t.end()
})

t.test('histograms add up', (t) => {
  const histograms = [...shown].filter(([, { type }]) => type === 'histogram')
  t.equal(histograms.length, 5)
  for (const [name, { samples }] of histograms) {
    const buckets = samples.filter((sample) => sample.name === `${name}_bucket`).map(({ value }) => value)
    t.same(
      buckets,
      buckets.toSorted((a, b) => a - b),
      name,
    )
    t.equal(buckets.at(-1), samples.find((sample) => sample.name === `${name}_count`)?.value, name)
  }
  t.end()
})

t.test('the figures are those of what was done', (t) => {
  t.equal(valueOf(shown, 'millrace_ready'), 1)
  t.equal(valueOf(shown, 'millrace_store_problems'), 0)
  t.equal(valueOf(shown, 'millrace_swarm_alarms'), 0)
  t.equal(valueOf(shown, 'millrace_peers', { state: 'connected' }), 1)
  t.equal(valueOf(shown, 'millrace_streams', { own: 'true' }), 2)
  t.equal(valueOf(shown, 'millrace_streams', { own: 'false' }), 2)
  t.equal(valueOf(shown, 'millrace_replication_missing_events', { owner: second.ready.nodeId }), 0)
  t.equal(valueOf(shown, 'millrace_queries_total'), 1)
  t.equal(shown.get('millrace_query_seconds')?.samples.at(-1)?.value, 1)
  const pruned = valueOf(shown, 'millrace_pruned_events_total')
  t.ok(pruned >= 40)
  t.equal(valueOf(shown, 'millrace_stream_events', { name: 'odd' }) % 10, 0)
  t.match(shown.get('millrace_info')?.samples, [{ labels: { node: first.ready.nodeId, topic: 'default-topic' } }])
  t.ok(valueOf(shown, 'process_max_fds') > valueOf(shown, 'process_open_fds'))
  t.ok(valueOf(shown, 'millrace_prune_age_seconds') < valueOf(shown, 'millrace_prune_interval_seconds'))
  t.end()
})

t.test('a node that is alone shows the same without the swarm', async (t) => {
  const topic = 'plant "7" \\north'
  const daemon = await DaemonProcess.start({ config: `swarm: { topic: '${topic}' }` })
  t.teardown(() => daemon.close())
  const expected = [...inDocs].filter(([, { heading }]) => !heading.startsWith('Swarm')).map(([name]) => name)
  const alone = await metricsOf(daemon)
  t.same([...alone.keys()].sort(), expected.sort())
  t.equal(alone.get('millrace_info')?.samples[0]?.labels['topic'], topic, 'labels are escaped')
})

t.test('what a peer has and this node has not counts as missing, and a lost peer as not connected', async (t) => {
  pair.cut()
  const token = await tokenOf(first)
  await post(first, 'events/publish', { data: [{ tags: ['plain'], payload: 'late' }] }, token)
  await until(async () => valueOf(await metricsOf(first), 'millrace_peers_connected') === 0)
  const alone = await metricsOf(first)
  t.equal(valueOf(alone, 'millrace_peers', { state: 'connected' }), 0)
  t.same(alone.get('millrace_peer_round_trip_seconds')?.samples, [])
  pair.heal()
  await until(async () => valueOf(await metricsOf(second), 'millrace_events', { own: 'false' }) % 10 === 2)
  t.equal(valueOf(await metricsOf(second), 'millrace_replication_streams_behind'), 0)
})
