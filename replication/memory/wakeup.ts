import type { VirtualTime } from './virtual-time.js'

/** One waiter that others wake, or that virtual time wakes. */
export class Wakeup {
  readonly #time: VirtualTime
  #wake: (() => void) | undefined

  constructor(time: VirtualTime) {
    this.#time = time
  }

  readonly wake = (): void => {
    this.#wake?.()
  }

  /** @returns whether it was woken before `limitMs` had passed */
  wait(limitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const finish = (woken: boolean): void => {
        this.#wake = undefined
        cancel()
        resolve(woken)
      }
      const cancel = this.#time.after(limitMs, () => {
        finish(false)
      })
      this.#wake = () => {
        finish(true)
      }
    })
  }
}
