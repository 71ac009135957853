import { execFileSync } from 'node:child_process'
import { cpus } from 'node:os'
import { median, spreadPercent, type Measurement } from './measure.js'

/** Where and with what was measured; part of every JSON line. */
export interface Environment {
  readonly date: string
  readonly commit: string
  readonly cpu: string
  readonly cores: number
  readonly node: string
}

export function environment(): Environment {
  const model = cpus()[0]?.model.trim() ?? 'unknown'
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: commit(),
    cpu: model,
    cores: cpus().length,
    node: process.version,
  }
}

function commit(): string {
  try {
    const changed = execFileSync('git', ['status', '--porcelain', '--untracked-files=no'], { encoding: 'utf8' }) !== ''
    return (
      execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim() + (changed ? '+changes' : '')
    )
  } catch {
    return 'unknown'
  }
}

export function jsonLine(measurement: Measurement, where: Environment): string {
  const { values } = measurement
  return JSON.stringify({ ...measurement, median: median(values), spreadPercent: spreadPercent(values), ...where })
}

/** The system that all ratios relate to. */
const OURS = 'millrace'

/** One row per work and system, with ours divided by theirs (above 1: ours is better). GitHub's form of a table. */
export function table(measurements: readonly Measurement[]): string {
  const works = [...new Set(measurements.map(({ work }) => work))]
  const grouped = works.flatMap((work) => measurements.filter((measurement) => measurement.work === work))
  const rows = grouped.map((measurement) => {
    const { work, system, unit, values, note } = measurement
    return [
      work,
      system,
      format(median(values)),
      unit,
      `±${spreadPercent(values).toFixed(0)} %`,
      ratio(measurement, measurements),
      note ?? '',
    ]
  })
  return markdownTable(['work', 'system', 'median', 'unit', 'spread', 'ours is better by', 'note'], rows)
}

/** GitHub's form of a table, as prettier leaves it. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0), 3))
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  return [line(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rows.map(line)].join('\n')
}

function ratio(theirs: Measurement, all: readonly Measurement[]): string {
  const ours = all.find(({ work, system, unit }) => system === OURS && work === theirs.work && unit === theirs.unit)
  if (ours === undefined || theirs.system === OURS) return ''
  const quotient = median(ours.values) / median(theirs.values)
  const better = theirs.better === 'higher' ? quotient : 1 / quotient
  return Number.isFinite(better) ? `${better.toFixed(2)} ×` : ''
}

function format(value: number): string {
  if (!Number.isFinite(value)) return '–'
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en-US')
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2)
}
