import type { Clock, MillraceError } from '../core/index.js'
import type { StoreHealth, StoreProblem } from './event-store.js'
import { PROBLEM_KINDS, type ProblemKind } from './problem-kind.js'

/** What a problem concerns that is about a table of the database, and not about a stream. */
export const TABLE = 'table'

/** Kind, and what it concerns: a stream, or {@link TABLE}. */
export type ProblemName = ProblemKind | `${ProblemKind} ${string}`

interface Problem {
  readonly text: string
  /** When it was first noticed, µs since 1970. */
  readonly sinceMicros: number
  /** What a publisher gets while it lasts; none when publishing goes on. */
  readonly refusal: ((text: string) => MillraceError) | undefined
  /** Whether all else goes on: what other nodes have written is still taken. */
  readonly publishingOnly: boolean
}

/** What is wrong with the store at the moment, for operators and publishers. */
export class Health {
  readonly #problems = new Map<ProblemName, Problem>()
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @param name one problem of a name at a time; a later text replaces the one before */
  raise(name: ProblemName, text: string, refusal?: (text: string) => MillraceError): void {
    this.#set(name, { text, refusal, publishingOnly: false })
  }

  /** As {@link raise}, for what must keep this node from writing events of its own, but nothing else. */
  refusePublishing(name: ProblemName, text: string, refusal: (text: string) => MillraceError): void {
    this.#set(name, { text, refusal, publishingOnly: true })
  }

  #set(name: ProblemName, problem: Omit<Problem, 'sinceMicros'>): void {
    const sinceMicros = this.#problems.get(name)?.sinceMicros ?? this.#clock.nowMicros()
    this.#problems.set(name, { ...problem, sinceMicros })
  }

  clear(name: ProblemName): boolean {
    return this.#problems.delete(name)
  }

  has(name: ProblemName): boolean {
    return this.#problems.has(name)
  }

  /** Why nothing can be written, if so. */
  refusal(): MillraceError | undefined {
    for (const { text, refusal, publishingOnly } of this.#problems.values()) {
      if (refusal !== undefined && !publishingOnly) return refusal(text)
    }
    return undefined
  }

  /** What to answer publishers, if they cannot be served. */
  publishRefusal(): MillraceError | undefined {
    for (const { text, refusal } of this.#problems.values()) if (refusal !== undefined) return refusal(text)
    return undefined
  }

  /** Of every kind, those of which there are none included. */
  counts(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>(PROBLEM_KINDS.map((kind) => [kind, 0]))
    for (const name of this.#problems.keys()) {
      const [kind = name] = name.split(' ')
      counts.set(kind, (counts.get(kind) ?? 0) + 1)
    }
    return counts
  }

  list(): readonly StoreProblem[] {
    return [...this.#problems].map(([name, { text, sinceMicros }]) => {
      const [kind, concerns] = name.split(' ')
      return { kind: kind as ProblemKind, stream: concerns === TABLE ? undefined : concerns, text, sinceMicros }
    })
  }

  snapshot(): StoreHealth {
    return {
      writable: this.publishRefusal() === undefined,
      problems: [...this.#problems.values()].map(({ text }) => text),
    }
  }
}
