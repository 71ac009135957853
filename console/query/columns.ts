import { ZERO_STREAM_ID } from '../../core/index.js'
import type { EventLine } from '../../client/index.js'

/** Columns of a table at most; the rest of a payload is seen as JSON. */
const MOST_COLUMNS = 24

/** Rows that are looked at for names of columns. */
const LOOKED_AT = 200

/** Stands for payloads that are no objects. */
export const VALUE = 'value'

/** The columns of a result: the members of its payloads in the order of their appearance. */
export function columnsOf(rows: readonly EventLine[]): readonly string[] {
  const names = new Set<string>()
  for (const { payload } of rows.slice(0, LOOKED_AT)) {
    for (const name of isObject(payload) ? Object.keys(payload) : [VALUE]) {
      if (names.size < MOST_COLUMNS) names.add(name)
    }
  }
  return [...names]
}

/** What stands in a column; `undefined` for nothing. */
export function cellOf({ payload }: EventLine, column: string): unknown {
  if (isObject(payload)) return Object.hasOwn(payload, column) ? payload[column] : undefined
  return column === VALUE ? payload : undefined
}

/** Whether a row stems from a stored event, and so has a time. */
export function hasTime({ stream }: EventLine): boolean {
  return stream !== ZERO_STREAM_ID
}

/** Columns with numbers in some row: those that can be drawn. */
export function numberColumns(rows: readonly EventLine[], columns: readonly string[]): readonly string[] {
  const looked = rows.slice(0, LOOKED_AT)
  return columns.filter((column) => looked.some((row) => typeof cellOf(row, column) === 'number'))
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
