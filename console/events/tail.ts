import { NodeUnreachableError, type EventLine, type Offsets } from '../../client/index.js'
import { Cell } from '../live/cell.js'
import { isAborted, type Link } from '../live/link.js'
import { pause } from '../live/pause.js'
import { untilVisible, visibleSince } from '../live/visibility.js'
import { TailRows, type TailView } from './tail-rows.js'

/** The list is drawn so often at most; milliseconds. */
const DRAW_MS = 200

/** Stored events shown when a tail begins. */
const STORED = 100

/** A daemon that does not answer at first is asked again after so long; milliseconds. */
const RETRY_MS = 2000

/** Rates are counted over so many drawings. */
const RATE_SPAN = 25

/** Follows a query while the tab can be seen, over restarts of the daemon: none is left out, none comes twice. */
export class Tail {
  readonly view: Cell<TailView>
  /** Events per second; `undefined` before the tail is live. */
  readonly rate = new Cell<number | undefined>(undefined)
  readonly error = new Cell<Error | undefined>(undefined)
  /** Whether what is stored has been read. */
  readonly hasBegun = new Cell(false)
  readonly #link: Link
  readonly #query: string
  readonly #rows = new TailRows()
  readonly #ending = new AbortController()
  readonly #drawing: ReturnType<typeof setInterval>
  readonly #counts: number[] = []
  #arrived = 0
  #isLive = false

  constructor(link: Link, query: string) {
    this.#link = link
    this.#query = query
    this.view = new Cell(this.#rows.view)
    this.#drawing = setInterval(this.#draw, DRAW_MS)
  }

  /** Follows until {@link end}. */
  async run(): Promise<void> {
    try {
      let reached = await this.#readStoredAtLast()
      this.hasBegun.value = true
      while (!this.#ending.signal.aborted) {
        await untilVisible(this.#ending.signal)
        reached = await this.#follow(reached)
      }
    } catch (error) {
      if (!isAborted(error)) this.error.value = error instanceof Error ? error : new Error(String(error))
    }
  }

  pause(): void {
    this.#rows.pause(Date.now())
    this.view.value = this.#rows.view
  }

  resume(): void {
    this.#rows.resume()
    this.view.value = this.#rows.view
  }

  end(): void {
    clearInterval(this.#drawing)
    this.#ending.abort()
  }

  /** A daemon that does not answer yet is asked again. */
  async #readStoredAtLast(): Promise<Offsets> {
    const { signal } = this.#ending
    for (;;) {
      try {
        return await this.#readStored()
      } catch (error) {
        const isSilence = error instanceof NodeUnreachableError || isAborted(error)
        if (!isSilence || isOver(signal)) throw error
        this.#link.noteFailure()
        await pause(RETRY_MS, signal)
      }
    }
  }

  /** @returns the offsets behind which the tail goes on */
  async #readStored(): Promise<Offsets> {
    const { signal } = this.#ending
    const { client } = this.#link
    const { present } = await this.#link.ask((_, limit) => client.offsets(limit), signal)
    const stored: EventLine[] = []
    for await (const line of client.query(this.#query, { order: 'desc', upperBound: present, signal })) {
      if (line.type === 'event') stored.push(line)
      if (stored.length >= STORED) break
    }
    this.#rows.begin(stored)
    this.view.value = this.#rows.view
    return present
  }

  /** Until the tab is hidden. @returns how far it got */
  async #follow(from: Offsets): Promise<Offsets> {
    const hidden = new AbortController()
    const unwatch = visibleSince.watch(() => {
      hidden.abort()
    })
    const subscription = this.#link.client.subscribe(this.#query, {
      lowerBound: from,
      signal: AbortSignal.any([this.#ending.signal, hidden.signal]),
      onState: ({ state }) => {
        this.#isLive = state === 'live'
        if (state === 'waiting') this.#link.noteFailure()
      },
      retry: { firstMs: 500, longestMs: 4000 },
    })
    try {
      for await (const line of subscription) {
        if (line.type !== 'event') continue
        this.#arrived += 1
        this.#rows.push(line)
      }
      return subscription.offsets
    } finally {
      unwatch()
    }
  }

  readonly #draw = (): void => {
    this.#counts.push(this.#arrived)
    this.#arrived = 0
    if (this.#counts.length > RATE_SPAN) this.#counts.shift()
    const sum = this.#counts.reduce((total, count) => total + count, 0)
    this.rate.value = this.#isLive ? (sum * 1000) / (this.#counts.length * DRAW_MS) : undefined
    if (this.#rows.flush()) this.view.value = this.#rows.view
  }
}

/** A call, so that the compiler does not take what it saw before a wait for granted. */
function isOver(signal: AbortSignal): boolean {
  return signal.aborted
}
