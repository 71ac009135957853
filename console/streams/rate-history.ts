import type { StreamReport } from '../../client/index.js'

/** Events that had been written to a stream at a moment. */
interface Reading {
  readonly atMs: number
  readonly nextOffset: number
}

/** A rate between two readings; events per second. */
export interface RatePoint {
  readonly fromMs: number
  readonly toMs: number
  readonly perSecond: number
}

/** How far back rates go; milliseconds. */
export const HISTORY_MS = 10 * 60_000

/** How fast streams have grown while the page was open. */
export class RateHistory {
  readonly #readings = new Map<string, Reading[]>()

  add(streams: readonly StreamReport[], atMs: number): void {
    for (const { stream, nextOffset } of streams) {
      const readings = this.#readings.get(stream) ?? []
      if (readings.at(-1)?.atMs === atMs) continue
      const kept = readings.filter((reading) => atMs - reading.atMs <= HISTORY_MS)
      this.#readings.set(stream, [...kept, { atMs, nextOffset }])
    }
  }

  /** Oldest first. */
  of(stream: string): readonly RatePoint[] {
    const readings = this.#readings.get(stream) ?? []
    return readings.slice(1).flatMap(({ atMs, nextOffset }, index) => {
      const before = readings[index]
      if (before === undefined || atMs <= before.atMs) return []
      const perSecond = Math.max(0, ((nextOffset - before.nextOffset) * 1000) / (atMs - before.atMs))
      return [{ fromMs: before.atMs, toMs: atMs, perSecond }]
    })
  }
}
