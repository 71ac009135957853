import type { AnswerLine, Offsets } from './answer.js'

/**
 * What can be done when the answer to a query breaks off. `events`: ask for what comes after the delivered events.
 * `aggregate`: ask for everything again and compare the results. `once`: nothing, as the query counts what it delivers.
 */
export type Resumption = 'events' | 'aggregate' | 'once'

/** A line to deliver: as text, and what it says. */
export interface Delivery {
  readonly text: string
  readonly line: AnswerLine
}

/** Keeps how far the delivered lines reach, over any number of answers to the same query. */
export class ResumePoint {
  readonly #resumption: Resumption
  readonly #from: Offsets
  readonly #reached: Map<string, number>
  /** The result of an aggregation that stands: delivered and not withdrawn. */
  #standing: Delivery | undefined
  /** Whether the result that stands is from an earlier answer, and the new one has not said anything about it. */
  #isOpen = false
  #hasDelivered = false

  /** @param from the lower bound that was given */
  constructor(resumption: Resumption, from: Offsets) {
    this.#resumption = resumption
    this.#from = from
    this.#reached = new Map(Object.entries(from))
  }

  /** How far it reaches: the lower bound that leaves nothing out and repeats nothing. */
  get offsets(): Offsets {
    return Object.fromEntries(this.#reached)
  }

  /** Whether a new answer can go on from here. */
  get canGoOn(): boolean {
    return this.#resumption !== 'once' || !this.#hasDelivered
  }

  /** A new answer begins. @returns the lower bound to ask with */
  begin(): Offsets {
    if (this.#resumption === 'events') return this.offsets
    this.#isOpen = this.#standing !== undefined
    return this.#from
  }

  /** What is to be delivered for a line of the answer, in this order: mostly the line itself. */
  take(delivery: Delivery): readonly Delivery[] {
    this.#hasDelivered = true
    return this.#resumption === 'aggregate' ? this.#takeResult(delivery) : this.#takeEvent(delivery)
  }

  #takeEvent(delivery: Delivery): readonly Delivery[] {
    const { line } = delivery
    if (line.type === 'event') this.#reach(line.stream, line.offset)
    if (line.type === 'offsets') {
      for (const [stream, offset] of Object.entries(line.offsets)) this.#reach(stream, offset)
    }
    return [delivery]
  }

  #reach(stream: string, offset: number): void {
    if (offset > (this.#reached.get(stream) ?? -1)) this.#reached.set(stream, offset)
  }

  /** A result that comes again is not repeated; one that does not come again is withdrawn. */
  #takeResult(delivery: Delivery): readonly Delivery[] {
    const { line, text } = delivery
    const before = this.#isOpen ? this.#standing : undefined
    switch (line.type) {
      case 'event':
        this.#isOpen = false
        this.#standing = delivery
        if (before === undefined) return [delivery]
        return before.text === text ? [] : [withdrawalOf(before), delivery]
      case 'antiEvent':
        this.#standing = undefined
        return [delivery]
      case 'offsets':
        this.#isOpen = false
        if (before === undefined) return [delivery]
        this.#standing = undefined
        return [withdrawalOf(before), delivery]
      default:
        return [delivery]
    }
  }
}

function withdrawalOf({ text }: Delivery): Delivery {
  const withdrawal = text.replace('"event"', '"antiEvent"')
  return { text: withdrawal, line: JSON.parse(withdrawal) as AnswerLine }
}
