import { MillraceError } from '../../core/index.js'
import { RequestRefusedError, type Client } from '../../client/index.js'
import { Cell } from './cell.js'
import type { LinkFacts } from './link-state.js'
import { visibleSince } from './visibility.js'

/** No answer within this counts as none; milliseconds. */
const PATIENCE_MS = 15_000

/** Asks the daemon, and knows whether it answers. */
export class Link {
  readonly client: Client
  readonly facts: Cell<LinkFacts>
  /** Grows each time the daemon answers after it had not: what was shown may be old. */
  readonly revivals = new Cell(0)

  constructor(client: Client) {
    this.client = client
    this.facts = new Cell<LinkFacts>({
      answeredMs: undefined,
      failingSinceMs: undefined,
      visibleSinceMs: visibleSince.value,
    })
    visibleSince.watch(() => {
      this.facts.value = { ...this.facts.value, visibleSinceMs: visibleSince.value }
    })
  }

  /** @throws what the client throws; ERR_ABORTED also when the answer takes too long */
  async ask<T>(request: (client: Client, signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    try {
      const value = await request(this.client, AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]))
      this.#noteAnswer()
      return value
    } catch (error) {
      // A refusal is an answer, and one's own abort says nothing.
      if (error instanceof RequestRefusedError) this.#noteAnswer()
      else if (!signal.aborted) this.noteFailure()
      throw error
    }
  }

  /** The daemon did not answer. */
  noteFailure(): void {
    const { failingSinceMs = Date.now() } = this.facts.value
    this.facts.value = { ...this.facts.value, failingSinceMs }
  }

  #noteAnswer(): void {
    const { failingSinceMs, answeredMs } = this.facts.value
    this.facts.value = { ...this.facts.value, answeredMs: Date.now(), failingSinceMs: undefined }
    if (failingSinceMs !== undefined && answeredMs !== undefined) this.revivals.value += 1
  }
}

/** Whether the daemon said no, as opposed to nothing. */
export function isRefusal(error: unknown): error is RequestRefusedError {
  return error instanceof RequestRefusedError
}

/** Whether the asker itself has lost interest. */
export function isAborted(error: unknown): boolean {
  return error instanceof MillraceError && error.code === 'ERR_ABORTED'
}
