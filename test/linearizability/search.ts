import { NumberSet } from './number-set.js'
import type { Answered, Call, Model } from './operation.js'
import { Timeline } from './timeline.js'

export type Verdict = 'linearizable' | 'illegal' | 'inconclusive'

/** What a search found. */
export interface Finding {
  readonly verdict: Verdict
  /** How often an operation was tried. */
  readonly steps: number
  /** The longest order found: all answers when the history is linearizable. */
  readonly order: readonly Call[]
  /** State after it. */
  readonly state: unknown
  /** Operations with answers that might have come next and did not fit, if it is not. */
  readonly stuckAt: readonly Call[]
}

/** An operation to try next: the place of one with answer, or `~place` of one without. */
type Move = number

/** A place of the search: all moves before `tried` led nowhere, but for the last one, which the search is behind. */
interface Frame {
  readonly state: unknown
  readonly moves: readonly Move[]
  tried: number
}

/**
 * Looks for an order of the operations of one object in which every answer is what the model gives, and which agrees with
 * time: what returned before another was sent comes before it. This is the search of Wing and Gong (Testing and verifying
 * concurrent objects, 1993), which takes each operation that may be first and looks whether the rest can follow, with what
 * Lowe (Testing for linearizability, 2017) added: a set of operations that leads to a state that it has led to before is not
 * looked at twice. Calls and returns are a linked list out of which operations are lifted, as in Athalye's Porcupine.
 *
 * Operations without answer have no return, and are tried when none with answer fits: they may also never have been done, so
 * the search is over when all answers are in the order.
 */
export class Search {
  readonly #model: Model<any, any, unknown>
  readonly #answered: readonly Answered[]
  readonly #unanswered: readonly { readonly call: Call; readonly text: string }[]
  readonly #timeline: Timeline
  readonly #done: NumberSet
  readonly #guessed: NumberSet
  /** Sets of operations that have had their turn, with the state they led to. */
  readonly #seen = new Set<string>()
  readonly #path: Frame[] = []
  #longest: { readonly order: readonly Call[]; readonly frame: Frame } | undefined
  #steps = 0

  constructor(model: Model<any, any, unknown>, answered: readonly Answered[], unanswered: readonly Call[]) {
    this.#model = model
    // By time, so that what has had its turn is nearly a prefix.
    this.#answered = answered.toSorted((a, b) => a.invoked - b.invoked)
    this.#unanswered = unanswered
      .toSorted((a, b) => a.invoked - b.invoked)
      .map((call) => ({ call, text: JSON.stringify(call.input) }))
    this.#timeline = new Timeline(this.#answered)
    this.#done = new NumberSet(answered.length)
    this.#guessed = new NumberSet(unanswered.length)
  }

  /** @param maxSteps how often an operation is tried before the search gives up */
  run(maxSteps: number): Finding {
    this.#path.push(this.#frame(this.#model.initial))
    while (!this.#timeline.isEmpty) {
      const frame = this.#path.at(-1)
      if (frame === undefined) return this.#finding('illegal')
      const move = frame.moves[frame.tried]
      if (move === undefined) this.#goBack()
      else if (this.#steps === maxSteps) return this.#finding('inconclusive')
      else this.#tryMove(frame, move)
    }
    return this.#finding('linearizable')
  }

  #tryMove(frame: Frame, move: Move): void {
    this.#steps++
    frame.tried++
    const after = this.#after(frame.state, move)
    if (after === undefined) return
    this.#take(move)
    const place = `${this.#done.fingerprint()}${this.#guessed.fingerprint()}${this.#model.fingerprint(after)}`
    if (this.#seen.has(place)) {
      this.#take(move)
      return
    }
    this.#seen.add(place)
    if (move >= 0) this.#timeline.lift(move)
    this.#path.push(this.#frame(after))
  }

  #goBack(): void {
    this.#noteLongest()
    this.#path.pop()
    const frame = this.#path.at(-1)
    if (frame === undefined) return
    const move = frame.moves[frame.tried - 1]!
    if (move >= 0) this.#timeline.putBack(move)
    this.#take(move)
  }

  /** Puts an operation among those that have had their turn, or takes it out. */
  #take(move: Move): void {
    if (move >= 0) this.#done.toggle(move)
    else this.#guessed.toggle(~move)
  }

  #after(state: unknown, move: Move): unknown {
    if (move >= 0) return this.#model.step(state, this.#answered[move]!)
    return this.#model.guess(state, this.#unanswered[~move]!.call)
  }

  #frame(state: unknown): Frame {
    const { operations, deadline } = this.#timeline.front()
    return { state, moves: [...operations, ...this.#guesses(deadline)], tried: 0 }
  }

  /** Of operations that ask for the same thing the first will do: it may be whenever a later one may. */
  #guesses(deadline: number): Move[] {
    const moves: Move[] = []
    const texts = new Set<string>()
    for (const [place, { call, text }] of this.#unanswered.entries()) {
      if (call.invoked > deadline) break
      if (texts.has(text) || this.#guessed.has(place)) continue
      texts.add(text)
      moves.push(~place)
    }
    return moves
  }

  #noteLongest(): void {
    const frame = this.#path.at(-1)
    if (frame === undefined || this.#path.length <= (this.#longest?.order.length ?? -1) + 1) return
    this.#longest = { order: this.#order(), frame }
  }

  #order(): Call[] {
    return this.#path.slice(0, -1).map(({ moves, tried }) => {
      const move = moves[tried - 1]!
      return move >= 0 ? this.#answered[move]! : this.#unanswered[~move]!.call
    })
  }

  #finding(verdict: Verdict): Finding {
    // With guesses that led nowhere another order may have been longer.
    if (verdict === 'linearizable') this.#longest = undefined
    this.#noteLongest()
    const { order, frame } = this.#longest!
    const stuckAt = verdict === 'linearizable' ? [] : frame.moves.filter((move) => move >= 0)
    return {
      verdict,
      steps: this.#steps,
      order,
      state: frame.state,
      stuckAt: stuckAt.map((move) => this.#answered[move]!),
    }
  }
}
