/** The head of the list; it is also where the list ends. */
const HEAD = 0

const callOf = (operation: number): number => 2 * operation + 1
const returnOf = (operation: number): number => 2 * operation + 2

/** From when to when a client waited, µs. The bounds belong to it. */
export interface Span {
  readonly invoked: number
  readonly returned: number
}

/**
 * Calls and returns by time in a doubly linked list. Operations that have had their turn are lifted out, so that the calls
 * before the first return are those that may be next; links that are left in what was lifted put it back.
 */
export class Timeline {
  readonly #spans: readonly Span[]
  readonly #next: Int32Array
  readonly #previous: Int32Array

  constructor(spans: readonly Span[]) {
    this.#spans = spans
    this.#next = new Int32Array(2 * spans.length + 1)
    this.#previous = new Int32Array(2 * spans.length + 1)
    const points = spans.flatMap(({ invoked, returned }, operation) => [
      { place: callOf(operation), time: invoked, isReturn: 0 },
      { place: returnOf(operation), time: returned, isReturn: 1 },
    ])
    // At the same time calls come first: two operations that touch may have been in either order.
    points.sort((a, b) => a.time - b.time || a.isReturn - b.isReturn)
    let last = HEAD
    for (const { place } of points) {
      this.#link(last, place)
      last = place
    }
    this.#link(last, HEAD)
  }

  /** All operations are lifted out. */
  get isEmpty(): boolean {
    return this.#next[HEAD] === HEAD
  }

  /** Operations that may be next, and until when one of them must have been, µs. */
  front(): { readonly operations: number[]; readonly deadline: number } {
    const operations: number[] = []
    for (let place = this.#next[HEAD]!; place !== HEAD; place = this.#next[place]!) {
      const operation = (place - 1) >> 1
      if (place === returnOf(operation)) return { operations, deadline: this.#spans[operation]!.returned }
      operations.push(operation)
    }
    return { operations, deadline: Infinity }
  }

  lift(operation: number): void {
    this.#unlink(callOf(operation))
    this.#unlink(returnOf(operation))
  }

  /** Of operations that are out, the one that was lifted last goes back first. */
  putBack(operation: number): void {
    this.#relink(returnOf(operation))
    this.#relink(callOf(operation))
  }

  #link(place: number, next: number): void {
    this.#next[place] = next
    this.#previous[next] = place
  }

  #unlink(place: number): void {
    this.#link(this.#previous[place]!, this.#next[place]!)
  }

  #relink(place: number): void {
    this.#next[this.#previous[place]!] = place
    this.#previous[this.#next[place]!] = place
  }
}
