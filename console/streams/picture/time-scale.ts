/** From time to place. */
export interface TimeScale {
  readonly left: number
  readonly right: number
  /** Where the fold stands. */
  readonly fold: { readonly left: number; readonly right: number } | undefined
  readonly x: (ms: number) => number
}

/** A span of time that is folded; milliseconds since 1970. */
interface FoldedSpan {
  readonly fromMs: number
  readonly toMs: number
}

/** Pixels of a fold. */
const FOLD_WIDTH = 140

/** Linear from the oldest event to now; both sides of a fold get half of the room. */
export function timeScale(oldestMs: number, nowMs: number, left: number, right: number, fold?: FoldedSpan): TimeScale {
  // A little room is left before the oldest.
  if (fold === undefined) {
    const span = Math.max(1, (nowMs - oldestMs) * 1.012)
    return { left, right, fold, x: (ms) => right - ((right - left) * (nowMs - Math.min(ms, nowMs))) / span }
  }
  const half = (right - left - FOLD_WIDTH) / 2
  const place = (ms: number, fromMs: number, toMs: number, from: number, to: number): number =>
    from + ((to - from) * (ms - fromMs)) / Math.max(1, toMs - fromMs)
  const x = (ms: number): number => {
    if (ms <= fold.fromMs) return Math.max(left, place(ms, oldestMs, fold.fromMs, left, left + half))
    if (ms < fold.toMs) return place(ms, fold.fromMs, fold.toMs, left + half, right - half)
    return place(Math.min(ms, nowMs), fold.toMs, nowMs, right - half, right)
  }
  return { left, right, fold: { left: left + half, right: right - half }, x }
}

const MINUTE_MS = 60_000
const STEPS_MS: readonly number[] = [1 / 6, 1, 10, 30, 60, 120, 360, 720, 1440, 2880, 10_080, 43_200, 525_600].map(
  (minutes) => minutes * MINUTE_MS,
)

/** Times with a label. */
export interface Ticks {
  readonly stepMs: number
  readonly times: readonly number[]
}

/** At most so many, at full minutes, hours or days by the clock of the browser. */
export function ticks(fromMs: number, toMs: number, most: number): Ticks {
  const step = STEPS_MS.find((ms) => (toMs - fromMs) / ms <= most)
  if (step === undefined) return { stepMs: 0, times: [] }
  const zoneMs = new Date(toMs).getTimezoneOffset() * MINUTE_MS
  const times: number[] = []
  for (let at = Math.ceil((fromMs - zoneMs) / step) * step + zoneMs; at < toMs; at += step) times.push(at)
  return { stepMs: step, times }
}
