import { useEffect, useReducer } from 'preact/hooks'

/** A value that parts of the page watch. */
export class Cell<T> {
  #value: T
  readonly #watchers = new Set<() => void>()

  constructor(value: T) {
    this.#value = value
  }

  get value(): T {
    return this.#value
  }

  set value(value: T) {
    if (Object.is(value, this.#value)) return
    this.#value = value
    for (const watcher of [...this.#watchers]) watcher()
  }

  /** @returns what ends it */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher)
    return () => {
      this.#watchers.delete(watcher)
    }
  }
}

/** The value of a cell; the part is drawn again when it changes. */
export function useCell<T>(cell: Cell<T>): T {
  const [, redraw] = useReducer((times: number) => times + 1, 0)
  useEffect(() => {
    // It may have changed between drawing and here.
    redraw(undefined)
    return cell.watch(() => {
      redraw(undefined)
    })
  }, [cell])
  return cell.value
}
