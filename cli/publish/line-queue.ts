import { MillraceError } from '../../core/index.js'

/** An event waiting to be sent, and the line that it comes from, counted from 1. */
export interface QueuedEvent {
  readonly line: number
  readonly text: string
}

/** UTF-16 units of text that may wait; the reader of the input is held up beyond. */
const MOST_WAITING = 16 * 1024 * 1024

/**
 * Between reading and sending: what arrives while a request is under way goes out with the next one, so that a live
 * input is sent at once and a long one in full requests.
 */
export class LineQueue {
  readonly #events: QueuedEvent[] = []
  #size = 0
  #ended = false
  #failure: unknown
  #wake: () => void = () => undefined

  /** Waits while too much is queued. @returns whether more is wanted */
  async push(event: QueuedEvent): Promise<boolean> {
    if (this.#ended) return false
    this.#events.push(event)
    this.#size += event.text.length
    this.#wake()
    while (this.#size > MOST_WAITING && !this.#hasEnded()) await this.#change()
    return !this.#hasEnded()
  }

  /** No more events come; with `failure`, the last take throws it. */
  end(failure?: unknown): void {
    this.#ended = true
    this.#failure ??= failure
    this.#wake()
  }

  /** The next events, at least one; none at the end. */
  async take(mostEvents: number, mostText: number): Promise<readonly QueuedEvent[]> {
    while (this.#events.length === 0 && !this.#ended) await this.#change()
    let size = 0
    let count = 0
    for (const { text } of this.#events) {
      if (count === mostEvents || (count > 0 && size + text.length > mostText)) break
      size += text.length
      count += 1
    }
    const taken = this.#events.splice(0, count)
    this.#size -= size
    this.#wake()
    if (taken.length === 0 && this.#failure !== undefined) throw toError(this.#failure)
    return taken
  }

  /** A call, so that the compiler does not take what it saw before a wait for granted. */
  #hasEnded(): boolean {
    return this.#ended
  }

  /** Both sides wait here in turns: only one of them can be held up at a time. */
  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}

function toError(failure: unknown): Error {
  return failure instanceof Error ? failure : new InputError(String(failure))
}

/** The input cannot be read. */
export class UnreadableInputError extends MillraceError {
  readonly code = 'ERR_INPUT_UNREADABLE'
}

/** A line of the input cannot be used. */
export class InputError extends MillraceError {
  readonly code = 'ERR_JSON_INVALID'
}
