/** `1234567` → `1,234,567`. */
export function formatCount(value: number): string {
  return value.toLocaleString('en-US')
}

const SIZES = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** Bytes with a unit, three digits. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < SIZES.length - 1) {
    value /= 1024
    unit += 1
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2
  return `${value.toFixed(digits)} ${SIZES[unit] ?? 'B'}`
}

const EXACT_SIZES = [
  ['GiB', 1024 ** 3],
  ['GB', 1000 ** 3],
  ['MiB', 1024 ** 2],
  ['MB', 1000 ** 2],
  ['KiB', 1024],
  ['kB', 1000],
] as const

/** Bytes as configured: in the largest unit that divides them. */
export function formatLimit(bytes: number): string {
  const [unit, size] = EXACT_SIZES.find(([, divisor]) => bytes > 0 && bytes % divisor === 0) ?? ['B', 1]
  return `${String(bytes / size)}${unit}`
}

const SPANS = [
  ['w', 604_800_000_000],
  ['d', 86_400_000_000],
  ['h', 3_600_000_000],
  ['m', 60_000_000],
  ['s', 1_000_000],
] as const

/** Microseconds as configured: in the largest unit that divides them. */
export function formatSpan(micros: number): string {
  const [unit, length] = SPANS.find(([, size]) => micros % size === 0) ?? ['s', 1_000_000]
  return `${String(micros / length)}${unit}`
}

/** How long something has lasted, in its two largest units. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  const [days, hours, minutes] = [
    Math.floor(whole / 86_400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
  ]
  if (days > 0) return `${formatCount(days)} d ${String(hours)} h`
  if (hours > 0) return `${String(hours)} h ${String(minutes)} min`
  return minutes > 0 ? `${String(minutes)} min ${String(whole % 60)} s` : `${String(whole)} s`
}

/** So many a second; `–` where that is not known. */
export function formatRate(perSecond: number | null): string {
  if (perSecond === null) return '–'
  return perSecond > 0 && perSecond < 10 ? perSecond.toFixed(1) : formatCount(Math.round(perSecond))
}

/** Microseconds since 1970 as UTC with milliseconds. */
export function formatTime(micros: number): string {
  const date = new Date(Math.floor(micros / 1000))
  return Number.isNaN(date.getTime()) ? `${String(micros)} µs` : date.toISOString()
}
