import { Cell } from '../live/cell.js'
import { isAborted, isRefusal, type Link } from '../live/link.js'
import { MOST_CHARACTERS, Result } from './result.js'

/** A result is drawn so often while it grows; milliseconds. */
const DRAW_MS = 200

/** How far a query is. */
export interface RunView {
  readonly state: 'running' | 'done' | 'stopped' | 'failed'
  readonly result: Result
  readonly tookMs: number
  /** Grows with each drawing, as the result itself stays the same object. */
  readonly drawn: number
  readonly problem: string | undefined
}

/** One query under way, or over. */
export class Run {
  readonly text: string
  readonly view: Cell<RunView>
  readonly #link: Link
  readonly #ending = new AbortController()
  readonly #startedMs = performance.now()
  readonly #result = new Result()

  constructor(link: Link, text: string) {
    this.#link = link
    this.text = text
    this.view = new Cell<RunView>({ state: 'running', result: this.#result, tookMs: 0, drawn: 0, problem: undefined })
  }

  /** Resolves when it is over; never rejects. */
  async run(): Promise<RunView> {
    const drawing = setInterval(() => {
      this.#draw('running')
    }, DRAW_MS)
    try {
      const isWhole = await this.#read()
      const { failure } = this.#result
      const tooMuch = `The answer is longer than ${String(MOST_CHARACTERS / 1e6)} MB. Ask for less, or use millrace query.`
      if (!isWhole) this.#draw('stopped', tooMuch)
      else if (failure === undefined) this.#draw('done')
      else this.#draw('failed', failure)
    } catch (error) {
      if (isAborted(error)) this.#draw('stopped')
      else this.#draw('failed', error instanceof Error ? error.message : String(error))
      if (!isRefusal(error) && !isAborted(error)) this.#link.noteFailure()
    } finally {
      clearInterval(drawing)
    }
    return this.view.value
  }

  stop(): void {
    this.#ending.abort()
  }

  /** @returns whether it was read to its end */
  async #read(): Promise<boolean> {
    for await (const text of this.#link.client.queryTexts(this.text, { signal: this.#ending.signal })) {
      if (!this.#result.push(text)) return false
    }
    return true
  }

  #draw(state: RunView['state'], problem?: string): void {
    const tookMs = performance.now() - this.#startedMs
    this.view.value = { state, result: this.#result, tookMs, drawn: this.view.value.drawn + 1, problem }
  }
}
