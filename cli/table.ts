import { paint, type Output } from './terminal.js'
import type { Environment } from '../config/index.js'

/** A column: its title, and whether it holds numbers, which stand to the right. */
export interface Column {
  readonly title: string
  readonly right?: boolean
}

/** Rows below titles, each column as wide as its widest cell. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  output: Output,
  env: Environment,
): string {
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...rows.map((row) => (row[index] ?? '').length)),
  )
  const line = (cells: readonly string[]): string =>
    columns
      .map(({ right }, index) => {
        const cell = cells[index] ?? ''
        const width = widths[index] ?? 0
        return right === true ? cell.padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd()
  const titles = paint(output, env, 'bold', line(columns.map(({ title }) => title)))
  return [titles, ...rows.map(line), ''].join('\n')
}
