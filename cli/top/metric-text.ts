/** Upper bound and how many observations were at most so large, in order. */
export type Buckets = readonly (readonly [bound: number, count: number])[]

/** The figures of a node, from what `GET /metrics` answers. */
export class MetricText {
  readonly #samples = new Map<string, number>()
  readonly #buckets = new Map<string, [number, number][]>()
  readonly #labels = new Map<string, string>()

  constructor(text: string) {
    for (const line of text.split('\n')) {
      const [, name, labels = '', value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
      if (name === undefined || value === undefined) continue
      const [, bound] = /^le="([^"]*)"$/.exec(labels) ?? []
      if (bound === undefined) this.#add(name, labels, Number(value))
      else this.#addBucket(name, bound === '+Inf' ? Infinity : Number(bound), Number(value))
    }
  }

  /** The sum of all samples of a metric; `undefined` where there is none, or it is not known. */
  total(name: string): number | undefined {
    const value = this.#samples.get(name)
    return value === undefined || Number.isNaN(value) ? undefined : value
  }

  /** A label of the last sample of a metric. */
  label(name: string, label: string): string | undefined {
    const [, text] = new RegExp(`(?:^|,)${label}="((?:[^"\\\\]|\\\\.)*)"`).exec(this.#labels.get(name) ?? '') ?? []
    return text?.replaceAll(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped))
  }

  histogram(name: string): Buckets {
    return this.#buckets.get(`${name}_bucket`) ?? []
  }

  #add(name: string, labels: string, value: number): void {
    this.#samples.set(name, (this.#samples.get(name) ?? 0) + value)
    this.#labels.set(name, labels)
  }

  #addBucket(name: string, bound: number, count: number): void {
    const buckets = this.#buckets.get(name)
    if (buckets === undefined) this.#buckets.set(name, [[bound, count]])
    else buckets.push([bound, count])
  }
}

/**
 * The size below which this share of the observations lies that came between two readings, as if those in one bucket were
 * spread evenly; `undefined` when there was none.
 */
export function quantileSince(before: Buckets, after: Buckets, share: number): number | undefined {
  const counts = after.map(([bound, count], at) => [bound, count - (before[at]?.[1] ?? 0)] as const)
  const wanted = (counts.at(-1)?.[1] ?? 0) * share
  if (wanted <= 0) return undefined
  let [lower, below] = [0, 0]
  for (const [bound, count] of counts) {
    // All that is known of the largest ones is that they are beyond the last bound.
    if (count >= wanted)
      return bound === Infinity ? lower : lower + ((bound - lower) * (wanted - below)) / (count - below)
    ;[lower, below] = [bound, count]
  }
  return lower
}
