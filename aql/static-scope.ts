import { PathScanner } from './json-slice.js'

/** Where a name is found at run time: `up` scopes outwards, then its slot, or the input. */
export interface Place {
  readonly up: number
  readonly slot: number | 'input'
}

/** What expressions at one place of the text can see; follows the operations while they are compiled. */
export class StaticScope {
  readonly parent: StaticScope | undefined
  #hasInput: boolean
  #slots = 0
  readonly #bindings = new Map<string, number>()
  #paths = new PathScanner()

  constructor(parent: StaticScope | undefined, hasInput: boolean) {
    this.parent = parent
    this.#hasInput = hasInput
  }

  /** Paths into the present input. */
  get paths(): PathScanner {
    return this.#paths
  }

  /** @returns the slot of the new binding; an older one of the same name stays readable for what was compiled before */
  bind(name: string): number {
    const slot = this.#slots++
    this.#bindings.set(name, slot)
    return slot
  }

  forgetBindings(): void {
    this.#bindings.clear()
  }

  /** From here on `_` is something else. */
  replaceInput(): void {
    this.#hasInput = true
    this.#paths = new PathScanner()
  }

  find(name: string): Place | undefined {
    const slot = name === '_' ? (this.#hasInput ? 'input' : undefined) : this.#bindings.get(name)
    if (slot !== undefined) return { up: 0, slot }
    const outer = this.parent?.find(name)
    return outer === undefined ? undefined : { up: outer.up + 1, slot: outer.slot }
  }
}
