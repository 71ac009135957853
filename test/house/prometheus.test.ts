// Alert rules and dashboard in a Prometheus server that watches real nodes.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { openDaemonPair } from '../support/daemon-pair.js'
import { testLevel } from '../support/level.js'
import { until } from '../support/store.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const folder = fileURLToPath(new URL('../../../packaging/', import.meta.url))
const ruleFile = join(folder, 'prometheus-alerts.yml')

const missing = ['promtool', 'prometheus'].find((tool) => spawnSync(tool, ['--version']).status !== 0)
const reason = missing === undefined ? undefined : `${missing} is not installed`
const skip = reason ?? (testLevel() === 'quick' ? 'needs a MILLRACE_TEST_LEVEL other than quick' : false)

/** An hour of a metric, sample by sample, and the alert that must stand at a time in it, or none. */
const ALERTS = [
  { alert: 'MillraceDown', series: 'up{job="millrace"}', values: '1x10 0x50', silent: '11m', firing: '13m' },
  { alert: 'MillraceNotReady', series: 'millrace_ready', values: '1x10 0x50', silent: '11m', firing: '13m' },
  {
    alert: 'MillraceRestarts',
    series: 'process_start_time_seconds{job="millrace"}',
    values: '0x5 1x5 2x5 3x5 4x5',
    silent: '20m',
    firing: '25m',
  },
  {
    alert: 'MillraceDiskFails',
    series: 'millrace_store_problems{kind="disk"}',
    values: '0x10 1x50',
    silent: '10m',
    firing: '11m',
  },
  { alert: 'MillraceNoPeers', series: 'millrace_peers_connected', values: '2x10 0x50', silent: '20m', firing: '21m' },
  // It catches up once, and then no more.
  {
    alert: 'MillraceReplicationLag',
    series: 'millrace_replication_streams_behind',
    values: '3x10 0x1 3x50',
    silent: '26m',
    firing: '33m',
  },
  {
    alert: 'MillraceFork',
    series: 'millrace_swarm_alarms{kind="fork"}',
    values: '0x10 1x50',
    silent: '10m',
    firing: '11m',
  },
  {
    alert: 'MillraceGap',
    series: 'millrace_swarm_alarms{kind="gap"}',
    values: '0x10 1x50',
    silent: '25m',
    firing: '26m',
  },
] as const

t.test('promtool accepts the alert rules, and they fire when they should and not before', { skip }, async (t) => {
  const { status, stderr } = spawnSync('promtool', ['check', 'rules', ruleFile], { encoding: 'utf8' })
  t.equal(status, 0, stderr)

  const tests = ALERTS.map(({ alert, series, values, silent, firing }) => ({
    name: alert,
    interval: '1m',
    input_series: [{ series, values }],
    promql_expr_test: [silent, firing].map((time) => ({
      expr: `count(ALERTS{alertname="${alert}",alertstate="firing"}) or vector(0)`,
      eval_time: time,
      exp_samples: [{ labels: '{}', value: time === firing ? 1 : 0 }],
    })),
  }))
  const file = join(temporaryDirectory(t), 'tests.yml')
  // JSON is YAML.
  await writeFile(file, JSON.stringify({ rule_files: [ruleFile], evaluation_interval: '1m', tests }))
  const tested = spawnSync('promtool', ['test', 'rules', file], { encoding: 'utf8' })
  t.equal(tested.status, 0, `${tested.stdout}${tested.stderr}`)
})

/** @returns the URL of a server with our rules that scrapes the targets */
async function startPrometheus(t: Test, targets: readonly string[]): Promise<string> {
  const directory = temporaryDirectory(t)
  const file = join(directory, 'prometheus.yml')
  const settings = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: [ruleFile],
    scrape_configs: [{ job_name: 'millrace', static_configs: [{ targets }] }],
  }
  await writeFile(file, JSON.stringify(settings))
  const args = [`--config.file=${file}`, `--storage.tsdb.path=${directory}/data`, '--web.listen-address=127.0.0.1:0']
  const server = spawn('prometheus', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  t.teardown(async () => {
    const ended = once(server, 'exit')
    server.kill('SIGKILL')
    await ended
  })
  for await (const line of createInterface({ input: server.stderr })) {
    const [, address] = /msg="Listening on" address=(\S+)/.exec(line) ?? []
    if (address === undefined) continue
    // Whatever it says later must not fill the pipe.
    server.stderr.resume()
    return `http://${address}`
  }
  throw new Error('prometheus ended')
}

t.test('a Prometheus server reads nodes, rules and every expression of the dashboard', { skip }, async (t) => {
  const { daemons } = await openDaemonPair(t)
  const server = await startPrometheus(
    t,
    daemons.map(({ url }) => new URL(url).host),
  )
  const ask = async (path: string) => {
    const answer = (await (await fetch(`${server}/api/v1/${path}`)).json()) as { status: string; data: any }
    if (answer.status !== 'success') throw new Error(`${path}: ${JSON.stringify(answer)}`)
    return answer.data
  }
  const query = async (text: string) => (await ask(`query?query=${encodeURIComponent(text)}`)).result as unknown[]

  await until(async () => (await query('millrace_ready{job="millrace"} == 1')).length === 2)
  const { activeTargets } = await ask('targets')
  t.same(
    activeTargets.map(({ lastError }: { lastError: string }) => lastError),
    ['', ''],
  )
  const rules = async () =>
    (await ask('rules')).groups.flatMap((group: { rules: unknown[] }) => group.rules) as {
      name: string
      health: string
      state: string
    }[]
  await until(async () => (await rules()).every(({ health }) => health !== 'unknown'))
  for (const { name, health } of await rules()) t.equal(health, 'ok', name)

  const dashboard = JSON.parse(await readFile(join(folder, 'grafana-dashboard.json'), 'utf8'))
  const expressions = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }: { expr: string }) => expr))
  t.ok(expressions.length > 40)
  for (const expression of expressions) {
    const text = expression
      .replaceAll('$job', 'millrace')
      .replaceAll('$instance', '.+')
      .replaceAll('$__rate_interval', '5s')
    await query(text)
  }
})
