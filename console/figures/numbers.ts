const grouped = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })

/** Shown where a figure is not known: unknown is not 0. */
export const UNKNOWN = '–'

/** `1,509,376`. */
export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? UNKNOWN : grouped.format(value)
}

/** `1 event`, `27 events`. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`
}

const UNITS = [
  [1e12, 'TB'],
  [1e9, 'GB'],
  [1e6, 'MB'],
  [1e3, 'kB'],
] as const

/** `1.6 MB`: powers of 1000, as in the settings. */
export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return UNKNOWN
  // What rounds up to 1000 of one unit is 1 of the next.
  const [size, unit] = UNITS.find(([smallest]) => value >= smallest * 0.9995) ?? [1, 'B']
  if (unit === 'B') return `${count(value)} B`
  const scaled = value / size
  return `${scaled < 99.95 && unit !== 'kB' ? scaled.toFixed(1) : scaled < 9.95 ? scaled.toFixed(1) : count(scaled)} ${unit}`
}

/** `1.1/s`; a rate of 0 is `0/s`. */
export function rate(perSecond: number | undefined): string {
  if (perSecond === undefined) return UNKNOWN
  if (perSecond === 0) return '0/s'
  if (perSecond >= 100) return `${count(perSecond)}/s`
  return `${perSecond < 0.1 ? perSecond.toFixed(3) : perSecond.toFixed(1)}/s`
}

/** `94 %`. @param part from 0 to 1 */
export function percent(part: number): string {
  return `${String(Math.round(part * 100))} %`
}

/** `2.0 ms`, `18 ms`. */
export function milliseconds(value: number): string {
  return `${value < 10 ? value.toFixed(1) : count(value)} ms`
}
