import { useEffect, useState } from 'preact/hooks'

/** A reading of growing figures. */
interface Reading {
  readonly atMs: number
  readonly figures: ReadonlyMap<string, number>
}

/** Rates are taken over so long: short enough for "now", long enough not to flicker. Milliseconds. */
const SPAN_MS = 20_000

/**
 * How fast growing figures grow, per second, from the readings of the last 20 s; a figure that was read once has none.
 *
 * @param atMs when they were read
 */
export function useRates(figures: ReadonlyMap<string, number>, atMs: number | undefined): ReadonlyMap<string, number> {
  const [readings, setReadings] = useState<readonly Reading[]>([])
  useEffect(() => {
    if (atMs === undefined) return
    setReadings((before) => [...before.filter((reading) => atMs - reading.atMs <= SPAN_MS), { atMs, figures }])
  }, [atMs])
  return ratesOf(readings)
}

/** @param readings oldest first */
export function ratesOf(readings: readonly Reading[]): ReadonlyMap<string, number> {
  const rates = new Map<string, number>()
  const last = readings.at(-1)
  for (const [name, value] of last?.figures ?? []) {
    const first = readings.find(({ figures }) => figures.has(name))
    const from = first?.figures.get(name)
    if (last === undefined || first === undefined || from === undefined || first.atMs >= last.atMs) continue
    rates.set(name, Math.max(0, ((value - from) * 1000) / (last.atMs - first.atMs)))
  }
  return rates
}
