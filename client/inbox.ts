import { MillraceError } from '../core/index.js'
import { itemTexts } from './socket-message.js'

/** UTF-16 units of text that may wait for a reader. */
const MOST_WAITING = 4 * 1024 * 1024

/** The reader was too slow for an answer that cannot be held up; it has got everything up to here. */
export class OverrunError extends MillraceError {
  readonly code = 'ERR_ANSWER_FAILED'
}

/** Between a WebSocket and the reader of one of its answers. */
export class Inbox {
  /** Texts of JSON arrays of lines. */
  #waiting: string[] = []
  #size = 0
  #isOver = false
  #isAbandoned = false
  #failure: Error | undefined
  #wake: () => void = () => undefined

  /** @returns whether more is wanted */
  push(items: string): boolean {
    if (this.#isOver) return false
    this.#waiting.push(items)
    this.#size += items.length
    const isFull = this.#size > MOST_WAITING
    if (isFull) this.end(new OverrunError('the reader fell behind'))
    this.#wake()
    return !isFull
  }

  /** Nothing more comes; what waits is still delivered, `failure` behind it. */
  end(failure?: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#failure = failure
    this.#wake()
  }

  /** Nothing more is delivered. */
  abandon(failure: Error): void {
    this.#isAbandoned = true
    this.#waiting = []
    this.end(failure)
  }

  /** All lines, in order. @throws the failure */
  async *texts(): AsyncGenerator<string> {
    for (;;) {
      const taken = this.#waiting.shift()
      if (taken !== undefined) {
        for (const text of itemTexts(taken)) {
          if (this.#isAbandoned) break
          yield text
        }
        this.#size -= taken.length
      } else if (this.#isOver) {
        if (this.#failure !== undefined) throw this.#failure
        return
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    }
  }
}
