// The files of packaging/ against a real node and the tools of the system.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { openDaemonPair } from '../support/daemon-pair.js'
import { readExposition, type ShownMetric } from '../support/exposition.js'
import { plainNode } from '../support/plain-node.js'
import { until } from '../support/store.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const checkout = fileURLToPath(new URL('../../..', import.meta.url))
const folder = join(checkout, 'packaging')
const read = (name: string) => readFile(join(folder, name), 'utf8')

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly description: string }
}

interface Manifest {
  readonly name: string
  readonly version: string
  readonly license?: string
  readonly dependencies?: Readonly<Record<string, string>>
}

/** As far as it is looked at. */
interface Materials {
  readonly components: readonly {
    readonly 'bom-ref': string
    readonly licenses: readonly { readonly expression?: string; readonly license?: { readonly id: string } }[]
    readonly hashes: readonly { readonly content: string }[]
  }[]
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[]
}

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number }
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
}

interface Dashboard {
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { readonly name: string }[] }
}

const { groups } = parse(await read('prometheus-alerts.yml')) as { groups: { name: string; rules: Rule[] }[] }
const rules = groups.flatMap((group) => group.rules)
const dashboard = JSON.parse(await read('grafana-dashboard.json')) as Dashboard

/** Labels that Prometheus adds to what it scrapes. */
const ADDED = ['job', 'instance']
const KEYWORDS = 'sum min max by and or rate increase changes predict_linear histogram_quantile min_over_time'.split(
  ' ',
)

/** Whether all metrics and labels of an expression exist, and values of labels where they are fixed sets. */
function checkExpression(t: Test, expression: string, shown: ReadonlyMap<string, ShownMetric>): void {
  const plain = expression.replaceAll(/"[^"]*"/g, '""').replaceAll(/\[[^\]]*\]/g, '')
  const grouped = [...plain.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, names]) => names!.split(', '))
  const names = plain.replaceAll(/\{[^}]*\}|\bby \([^)]*\)/g, '').matchAll(/[a-z_]{2,}/g)
  const metrics = [...names].map(([name]) => name).filter((name) => !KEYWORDS.includes(name) && name !== 'up')
  const labels = new Set(ADDED)
  for (const name of metrics) {
    const metric = shown.get(name.replace(/_(bucket|sum|count)$/, '')) ?? shown.get(name)
    t.ok(metric, `${name} exists`)
    for (const label of metric?.labels ?? []) labels.add(label)
    if (name.endsWith('_bucket')) labels.add('le')
  }
  for (const label of grouped) t.ok(labels.has(label), `${label} is a label in ${expression}`)
  for (const [, name = '', selectors = ''] of expression.matchAll(/([a-z_]+)\{([^}]*)\}/g)) {
    const samples = shown.get(name.replace(/_bucket$/, ''))?.samples ?? []
    for (const [, label = '', value = ''] of selectors.matchAll(/([a-z]+)=~?"([^"]*)"/g)) {
      t.ok(labels.has(label), `${label} is a label of ${name}`)
      if (ADDED.includes(label)) continue
      for (const one of value.split('|')) {
        t.ok(
          samples.some((sample) => sample.labels[label] === one),
          `${name} has ${label}="${one}"`,
        )
      }
    }
  }
}

t.test('every metric and label that alert rules and dashboard name exists', async (t) => {
  const { daemons } = await openDaemonPair(t)
  let shown: ReadonlyMap<string, ShownMetric> = new Map()
  await until(async () => {
    shown = readExposition(await (await fetch(`${daemons[0].url}/metrics`)).text())
    return shown.get('millrace_peer_lacking_events')?.samples.length === 1
  })
  t.ok(rules.length > 15)
  for (const { expr } of rules) checkExpression(t, expr, shown)
  for (const { targets = [] } of dashboard.panels) for (const { expr } of targets) checkExpression(t, expr, shown)
})

t.test('alert rules are complete, and each kind of alarm and problem has one', (t) => {
  t.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length)
  for (const { alert, labels, annotations, ...rule } of rules) {
    t.match(alert, /^Millrace[A-Z]\w+$/)
    t.match(labels.severity, /^(?:critical|warning)$/)
    t.match(annotations.summary, /\{\{ \$labels\.instance \}\}/, alert)
    t.match(annotations.description, /\.$/, alert)
    if (rule.for !== undefined) t.match(rule.for, /^\d+[mh]$/, alert)
  }
  const all = rules.map(({ expr }) => expr).join('\n')
  const kinds = 'disk write clock damage names corrupt own-ahead own-history fork gap network-key identity misbehaved'
  for (const kind of [...kinds.split(' '), 'too-many-streams']) t.match(all, new RegExp(`["|]${kind}["|]`), kind)
  t.end()
})

t.test('panels of the dashboard have ids of their own and do not overlap', (t) => {
  const { panels } = dashboard
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
  const cells = new Set<string>()
  for (const { title, gridPos, targets = [], type } of panels) {
    t.ok(gridPos.x + gridPos.w <= 24, title)
    t.ok(type === 'row' || targets.length > 0, `${title} shows something`)
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        if (cells.has(`${String(x)},${String(y)}`)) t.fail(`${title} overlaps`)
        cells.add(`${String(x)},${String(y)}`)
      }
    }
  }
  t.same(
    dashboard.templating.list.map(({ name }) => name),
    ['datasource', 'job', 'instance'],
  )
  t.end()
})

function lacks(tool: string, argument = '--version'): string | false {
  return spawnSync(tool, [argument]).status === 0 ? false : `${tool} is not installed`
}

t.test('systemd rates the exposure of the service at 1.5 or less', { skip: lacks('systemd-analyze') }, (t) => {
  const unit = join(folder, 'millrace.service')
  const args = ['security', '--offline=true', '--no-pager', '--threshold=15', unit]
  const { status, stdout, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8' })
  t.equal(status, 0, `${stderr}${stdout}`)
  t.match(stdout, /Overall exposure level for millrace\.service: (?:0\.\d|1\.[0-5]) /)
  t.end()
})

t.test(
  'systemd finds nothing wrong with the service but a command that is not there',
  { skip: lacks('systemd-analyze') },
  (t) => {
    const { stderr } = spawnSync('systemd-analyze', ['verify', join(folder, 'millrace.service')], { encoding: 'utf8' })
    const findings = stderr.split('\n').filter((line) => line !== '' && !/millrace is not executable/.test(line))
    t.same(findings, [])
    t.end()
  },
)

t.test('sysusers makes the user of the service', { skip: lacks('systemd-sysusers') }, async (t) => {
  const root = temporaryDirectory(t)
  await mkdir(join(root, 'etc'))
  const { status, stderr } = spawnSync('systemd-sysusers', [`--root=${root}`, join(folder, 'millrace.sysusers')])
  t.equal(status, 0, stderr.toString())
  const [, user = ''] = /^User=(.+)$/m.exec(await read('millrace.service')) ?? []
  t.match(await readFile(join(root, 'etc/passwd'), 'utf8'), new RegExp(`^${user}:.*:/var/lib/millrace:`, 'm'))
})

t.test('the bill of materials has every package that a node loads, with version and licence', async (t) => {
  const [command, args] = plainNode([join(checkout, 'scripts/build-sbom.mjs')])
  const { stdout } = spawnSync(command, args, { encoding: 'utf8' })
  const { components, dependencies } = JSON.parse(stdout) as Materials
  const listed = new Map(components.map((component) => [component['bom-ref'], component]))
  t.equal(listed.size, components.length)
  const installed = [...(await installedFor(checkout)).values()]
  t.ok(installed.length > 100)
  const lacking = installed.filter(({ name, version, license }) => {
    const { licenses = [], hashes = [] } = listed.get(`pkg:npm/${name.replace('@', '%40')}@${version}`) ?? {}
    const licence = licenses[0]?.expression ?? licenses[0]?.license?.id
    return licence !== license?.replace(/^\((.*)\)$/, '$1') || !/^[0-9a-f]{128}$/.test(hashes[0]?.content ?? '')
  })
  t.same(lacking, [])
  for (const name of ['preact', 'uplot', '%40codemirror/view', 'style-mod']) {
    t.ok(
      components.some(({ 'bom-ref': ref }) => ref.startsWith(`pkg:npm/${name}@`)),
      `${name}, which the page is made of`,
    )
  }
  const project = dependencies.filter(({ ref }) => !listed.has(ref))
  t.match(project, [{ ref: /^pkg:npm\/millrace@/ }])
  t.same(
    dependencies.flatMap(({ dependsOn }) => dependsOn).filter((ref) => !listed.has(ref)),
    [],
  )
  t.equal(spawnSync(command, args, { encoding: 'utf8' }).stdout, stdout, 'it is the same every time')
})

/** What Node would find, package by package, beginning at a folder: by path. */
async function installedFor(folder: string, found = new Map<string, Manifest>()): Promise<Map<string, Manifest>> {
  const { dependencies = {} } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Manifest
  for (const name of Object.keys(dependencies)) {
    const path = nodeModulesOf(folder)
      .map((modules) => join(modules, name))
      .find((place) => existsSync(join(place, 'package.json')))
    if (path === undefined) throw new Error(`${name} is not installed for ${folder}`)
    if (found.has(path)) continue
    found.set(path, JSON.parse(await readFile(join(path, 'package.json'), 'utf8')) as Manifest)
    await installedFor(path, found)
  }
  return found
}

/** From the nearest to that of the checkout. */
function nodeModulesOf(folder: string): string[] {
  const own = join(folder, 'node_modules')
  return folder === checkout || folder === dirname(folder) ? [own] : [own, ...nodeModulesOf(dirname(folder))]
}
