import type { CompiledQuery, Scope, World } from './compiled.js'
import { failure, type Failure, type Result, type Value } from './value.js'

/**
 * Memory and time that the evaluation of one expression may take, in cells: a cell is a value in an array or an object,
 * or some characters of text. Bounds what doubling (`LET b := [...a, ...a]`) and long texts can do.
 */
const MAX_CELLS = 4_000_000

/** Characters that count as one cell where text is copied or made. */
const CHARACTERS_PER_CELL = 16

/** Characters of the longest text that an expression may make. */
const MAX_TEXT = 16 * 1024 * 1024

const TOO_LARGE = failure('too-large', 'the value grows too large')

/** The scope of one run of a query's operations, with an account of what its bindings hold. */
export class RunScope implements Scope {
  readonly world: World
  readonly parent: Scope | undefined
  readonly slots: (Value | undefined)[] = []
  /** What the values in `slots` hold, in cells. */
  readonly #heldBySlot: number[] = []
  #held = 0
  #used = 0
  input: Value | undefined
  aggregates: readonly Result[] = []
  results = new Map<number, Result>()
  pending: CompiledQuery | undefined

  constructor(world: World, parent: Scope | undefined) {
    this.world = world
    this.parent = parent
  }

  /** Before every expression. */
  begin(): void {
    this.pending = undefined
    this.#used = this.#held
  }

  bind(slot: number, value: Value): void {
    this.slots[slot] = value
    const cells = this.#used - this.#held
    this.#held += cells - (this.#heldBySlot[slot] ?? 0)
    this.#heldBySlot[slot] = cells
  }

  charge(cells: number): Failure | undefined {
    this.#used += cells
    return this.#used > MAX_CELLS ? TOO_LARGE : undefined
  }

  chargeText(characters: number, total: number): Failure | undefined {
    return total > MAX_TEXT ? TOO_LARGE : this.charge(characters / CHARACTERS_PER_CELL)
  }

  /** Cells that the present expression has used itself. */
  get used(): number {
    return this.#used - this.#held
  }

  /** The same bindings for an expression evaluated in the middle of another one. */
  fork(): RunScope {
    const fork = new RunScope(this.world, this.parent)
    fork.slots.push(...this.slots)
    fork.#held = this.#used
    fork.#used = this.#used
    fork.input = this.input
    return fork
  }
}
