/** One figure: the values of all runs, and how to read them. */
export interface Measurement {
  /** What was done, the same words for all systems. */
  readonly work: string
  readonly system: string
  readonly unit: string
  /** Whether more is better. */
  readonly better: 'higher' | 'lower'
  /** One value per run. */
  readonly values: readonly number[]
  /** Anything that a reader should know. */
  readonly note?: string
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5)
}

/** Nearest rank; NaN when there are no values. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN
}

/** Half the distance from smallest to greatest, in percent of the median. */
export function spreadPercent(values: readonly number[]): number {
  const middle = median(values)
  return middle === 0 ? 0 : ((Math.max(...values) - Math.min(...values)) / 2 / middle) * 100
}

/** Milliseconds that `work` takes. */
export async function time(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now()
  await work()
  return performance.now() - begin
}

/** Runs something several times, one after the other. */
export async function repeat<T>(times: number, work: (run: number) => Promise<T>): Promise<T[]> {
  const results: T[] = []
  for (let run = 0; run < times; run++) results.push(await work(run))
  return results
}
