const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

const clockFormat = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const minuteFormat = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' })
const dayFormat = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' })
const dateFormat = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' })

/** `41 s`, `5 h 46 min`, `12 days 4 h`. @param ms negative counts as 0 */
export function duration(ms: number): string {
  const rest = Math.max(0, ms)
  if (rest < MINUTE_MS) return `${String(Math.round(rest / 1000))} s`
  if (rest < HOUR_MS) return inTwo(rest, MINUTE_MS, 'min', 1000, 's')
  if (rest < DAY_MS) return inTwo(rest, HOUR_MS, 'h', MINUTE_MS, 'min')
  const days = Math.floor(rest / DAY_MS)
  return inTwo(rest, DAY_MS, days === 1 ? 'day' : 'days', HOUR_MS, 'h')
}

function inTwo(ms: number, bigMs: number, big: string, smallMs: number, small: string): string {
  const whole = Math.floor(ms / bigMs)
  const part = Math.floor((ms - whole * bigMs) / smallMs)
  return part === 0 ? `${String(whole)} ${big}` : `${String(whole)} ${big} ${String(part)} ${small}`
}

/** `15:09:24` today, `19 Nov, 15:09:24` on other days; by the clock of the browser. */
export function clock(ms: number, nowMs = Date.now()): string {
  return withDay(ms, nowMs, clockFormat)
}

/** As {@link clock}, without seconds. */
export function minute(ms: number, nowMs = Date.now()): string {
  return withDay(ms, nowMs, minuteFormat)
}

function withDay(ms: number, nowMs: number, format: Intl.DateTimeFormat): string {
  const time = format.format(ms)
  return isSameDay(ms, nowMs) ? time : `${dayFormat.format(ms)}, ${time}`
}

function isSameDay(aMs: number, bMs: number): boolean {
  return new Date(aMs).toDateString() === new Date(bMs).toDateString()
}

/** `15:09:24.118`, with the day when that is not today. @param micros since 1970 */
export function millis(micros: number, nowMs = Date.now()): string {
  return `${clock(micros / 1000, nowMs)}.${String(Math.floor(micros / 1000) % 1000).padStart(3, '0')}`
}

/** `19 Nov 2026, 15:09:24.118 042`: all that an event says about its time. @param micros since 1970 */
export function exactTime(micros: number): string {
  const fraction = String(Math.floor(micros) % 1_000_000).padStart(6, '0')
  const ms = micros / 1000
  return `${dateFormat.format(ms)}, ${clockFormat.format(ms)}.${fraction.slice(0, 3)} ${fraction.slice(3)}`
}

/** `19 Nov`. */
export function day(ms: number): string {
  return dayFormat.format(ms)
}

/** The time at a tick of an axis, as exact as its steps need. */
export function tick(ms: number, stepMs: number): string {
  if (stepMs >= DAY_MS) return ''
  if (stepMs >= MINUTE_MS) return minuteFormat.format(ms)
  if (stepMs >= 1000) return clockFormat.format(ms)
  return `${clockFormat.format(ms)}.${String(Math.floor(ms) % 1000).padStart(3, '0')}`
}
