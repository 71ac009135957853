import { parseAnswerLine, type Offsets } from './answer.js'
import { AnswerFailedError, NodeUnreachableError } from './errors.js'
import { OverrunError } from './inbox.js'
import { ResumePoint, type Delivery, type Resumption } from './resume-point.js'
import { DEFAULT_PAUSES, retryPauseMs, type RetryPauses } from './retry.js'
import { pause } from './unless-aborted.js'
import { mayPass, passingFailure } from './wire-errors.js'

/**
 * `connecting`: the node is asked, and delivers what is stored. `live`: everything stored is delivered, new events come as
 * they happen. `waiting`: the connection could not be made or broke off; it is tried again after a pause.
 */
export type SubscriptionState =
  | { readonly state: 'connecting' }
  | { readonly state: 'live' }
  | { readonly state: 'waiting'; readonly error: Error; readonly retryInMs: number }

/** What a subscription can be told. */
export interface SubscribeOptions {
  /** Exclusive: begins behind these offsets, such as those that an earlier subscription had reached. */
  readonly lowerBound?: Offsets
  /** Ends the subscription, without error. */
  readonly signal?: AbortSignal | undefined
  /** Told of each change of state. */
  readonly onState?: (state: SubscriptionState) => void
  readonly retry?: RetryPauses
}

/** What of a query matters to those who follow it. */
export interface QueryNature {
  readonly resumption: Resumption
  /** Whether its answer may end by itself. */
  readonly ends: boolean
}

/** How a subscription talks to its node. */
export interface SubscriptionSource<Line> {
  /** The lines of an answer as JSON texts. */
  open(lowerBound: Offsets, nature: QueryNature, signal: AbortSignal): AsyncIterable<string>
  describe(signal: AbortSignal): Promise<QueryNature>
  /** What the reader gets of a line; `undefined` is left out. @throws AnswerFailedError for a last line with an error */
  deliver(delivery: Delivery): Line | undefined
  /** Has an action called when the client is closed; at once when it is. @returns what takes it back */
  onClose(action: () => void): () => void
}

/**
 * Follows a query for as long as it is read, over any number of connections and lives of the node: no event is left out,
 * none comes twice. It begins when it is read first. Leaving the loop closes the connection; reading on afterwards goes on
 * behind the last delivered line. Reading slowly slows the node down.
 */
export class Subscription<Line> implements AsyncIterable<Line> {
  readonly #source: SubscriptionSource<Line>
  readonly #options: SubscribeOptions
  #nature: QueryNature | undefined
  #point: ResumePoint | undefined

  constructor(source: SubscriptionSource<Line>, options: SubscribeOptions) {
    this.#source = source
    this.#options = options
  }

  /**
   * How far the delivered lines reach; keep it once they are processed, and give it as `lowerBound` to go on there in
   * another run of the program. With AGGREGATE it stays where the subscription began, as results build on all events.
   */
  get offsets(): Offsets {
    return this.#point?.offsets ?? this.#options.lowerBound ?? {}
  }

  /** One reader at a time. @throws RequestRefusedError, AnswerFailedError */
  async *[Symbol.asyncIterator](): AsyncGenerator<Line, void, undefined> {
    const { signal } = this.#options
    const ending = new AbortController()
    const end = (): void => {
      ending.abort()
    }
    if (signal?.aborted) end()
    signal?.addEventListener('abort', end, { once: true })
    const stay = this.#source.onClose(end)
    try {
      yield* this.#follow(ending.signal)
    } finally {
      stay()
      signal?.removeEventListener('abort', end)
      end()
    }
  }

  async *#follow(signal: AbortSignal): AsyncGenerator<Line, void, undefined> {
    let failures = 0
    while (!signal.aborted) {
      this.#tell({ state: 'connecting' })
      try {
        for await (const line of this.#answer(signal)) {
          failures = 0
          yield line
          if (isOver(signal)) return
        }
        return
      } catch (error) {
        if (isOver(signal)) return
        const passing = this.#passing(error)
        // A reader that was too slow has by now taken what waited for it.
        if (!(error instanceof OverrunError)) await this.#wait(passing, ++failures, signal)
      }
    }
  }

  /** The lines of one answer. @throws when it ends before its time */
  async *#answer(signal: AbortSignal): AsyncGenerator<Line, void, undefined> {
    const nature = (this.#nature ??= await this.#source.describe(signal))
    const point = (this.#point ??= new ResumePoint(nature.resumption, this.#options.lowerBound ?? {}))
    if (!point.canGoOn) throw cannotGoOn()
    for await (const text of this.#source.open(point.begin(), nature, signal)) {
      const line = parseAnswerLine(text)
      const isFailure = line.type === 'diagnostic' && line.severity === 'error'
      const passing = isFailure ? passingFailure(line.message) : undefined
      if (passing !== undefined) throw passing
      for (const delivery of point.take({ text, line })) {
        if (delivery.line.type === 'offsets') this.#tell({ state: 'live' })
        const given = this.#source.deliver(delivery)
        if (given !== undefined) yield given
      }
      if (isFailure || line.type === 'timeTravel') return
    }
    if (!nature.ends) throw new NodeUnreachableError('the node ended the answer', { neverSent: false })
  }

  /** The error when it may pass and the answer can be gone on with. @throws it otherwise */
  #passing(error: unknown): Error {
    if (!(error instanceof Error) || !(mayPass(error) || error instanceof OverrunError)) throw error
    if (this.#point?.canGoOn === false) throw cannotGoOn(error)
    return error
  }

  async #wait(error: Error, failures: number, signal: AbortSignal): Promise<void> {
    const retryInMs = retryPauseMs(failures, this.#options.retry ?? DEFAULT_PAUSES, Math.random())
    this.#tell({ state: 'waiting', error, retryInMs })
    await pause(retryInMs, signal)
  }

  #tell(state: SubscriptionState): void {
    this.#options.onState?.(state)
  }
}

/** A call, so that the compiler does not take what it saw before a wait for granted. */
function isOver(signal: AbortSignal): boolean {
  return signal.aborted
}

function cannotGoOn(cause?: Error): AnswerFailedError {
  const reason = cause === undefined ? 'the answer was left' : cause.message
  return new AnswerFailedError(
    `${reason}; a query that counts events (LIMIT) or brings its own cannot be gone on with`,
    {
      cause,
    },
  )
}
