/** A metric as a node shows it, by what a Prometheus server would read. */
export interface ShownMetric {
  readonly type: string
  readonly help: string
  /** Names of labels over all samples, sorted, without the `le` of histograms. */
  readonly labels: readonly string[]
  readonly samples: readonly ShownSample[]
}

export interface ShownSample {
  /** With `_bucket`, `_sum` or `_count` for histograms. */
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const SAMPLE = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/
const LABEL = /([a-z_]+)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/g

/** @throws Error for anything that is not text format 0.0.4, or stands where it must not */
export function readExposition(text: string): ReadonlyMap<string, ShownMetric> {
  if (!text.endsWith('\n')) throw new Error('the last line does not end')
  const metrics = new Map<string, ShownMetric>()
  for (const part of text.split(/^(?=# HELP )/m)) {
    const [helpLine = '', typeLine = '', ...lines] = part.trimEnd().split('\n')
    const [, name = '', help = ''] = /^# HELP ([a-z_]+) (.+)$/.exec(helpLine) ?? []
    const [, typed, type = ''] = /^# TYPE ([a-z_]+) (counter|gauge|histogram)$/.exec(typeLine) ?? []
    if (name === '' || typed !== name || metrics.has(name)) throw new Error(`not a metric, or one again: ${part}`)
    const samples = lines.map((line) => readSample(line, name, type))
    const labels = new Set(samples.flatMap((sample) => Object.keys(sample.labels)))
    if (type === 'histogram') labels.delete('le')
    metrics.set(name, { type, help, labels: [...labels].sort(), samples })
  }
  return metrics
}

function readSample(line: string, metric: string, type: string): ShownSample {
  const [, name = '', labelText = '', value = ''] = SAMPLE.exec(line) ?? []
  const suffix = name.slice(metric.length)
  const expected = type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']
  if (!name.startsWith(metric) || !expected.includes(suffix)) throw new Error(`not a sample of ${metric}: ${line}`)
  const labels = [...labelText.matchAll(LABEL)]
  if (labels.map(([text]) => text).join('') !== labelText) throw new Error(`not labels: ${line}`)
  if (value !== 'NaN' && !Number.isFinite(Number(value))) throw new Error(`not a value: ${line}`)
  return {
    name,
    labels: Object.fromEntries(labels.map(([, label = '', text = '']) => [label, unescape(text)])),
    value: Number(value),
  }
}

function unescape(text: string): string {
  return text.replaceAll(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped))
}
