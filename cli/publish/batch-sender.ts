import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { NodeUnreachableError, OutcomeUnknownError, RequestRefusedError, type Client } from '../../client/index.js'
import type { QueuedEvent } from './line-queue.js'

export interface BatchSenderOptions {
  readonly client: Pick<Client, 'publish'>
  /** Opens what several requests can go out on at a time. */
  readonly openChannel: () => Pick<Client, 'publish' | 'close'>
  /** How long to go on trying when the node does not answer, milliseconds. */
  readonly retryMs: number
  /** Ends after the requests under way. */
  readonly signal: AbortSignal
  /** Lines are sent again although they may have been stored. */
  readonly onSentAgain: (firstLine: number, lastLine: number) => Promise<void>
  /** Told at once of a failure that ends it all, also when nothing more is sent. */
  readonly onFailure: (error: unknown) => void
}

/** Events of one request, at least one. */
export type Batch = readonly QueuedEvent[]

/** Requests under way at a time: enough that neither side waits for the other. */
const MOST_UNDER_WAY = 4

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 2_000

/** Stands for the failure of what was not tried. */
const NOT_TRIED = Symbol('not tried')

/**
 * Sends batches in order, several at a time over a WebSocket, and has them acknowledged in order. One that fails is sent
 * again by itself over HTTP, as long as that may help; nothing new goes out until all that were under way are settled.
 */
export class BatchSender {
  readonly #options: BatchSenderOptions
  /** Settles with the oldest batch under way first; each waits for the one before, and fails with it. */
  readonly #underWay: Promise<void>[] = []
  #channel: Pick<Client, 'publish' | 'close'> | undefined
  #hasSent = false
  #hasFailed = false

  constructor(options: BatchSenderOptions) {
    this.#options = options
  }

  /**
   * Resolves when the batch is on its way and there is room for another.
   *
   * @throws the failure of an earlier batch; then nothing more may be sent
   */
  async send(batch: Batch, onAcknowledged: () => Promise<void>): Promise<void> {
    if (this.#hasFailed) {
      await this.drain()
      this.close()
      this.#hasFailed = false
    }
    // Goes out alone: what fits in one request needs no second connection, and what the node refuses it mostly refuses here.
    const isFirst = !this.#hasSent
    this.#hasSent = true
    const attempt = isFirst ? Promise.resolve(NOT_TRIED) : this.#attempt(batch)
    const before = this.#underWay.at(-1) ?? Promise.resolve()
    const settled = before.then(() => this.#settle(batch, attempt)).then(onAcknowledged)
    settled.catch((error: unknown) => {
      this.#options.onFailure(error)
    })
    this.#underWay.push(settled)
    if (isFirst) await settled
    if (this.#underWay.length >= MOST_UNDER_WAY) await this.#underWay.shift()
  }

  /** Resolves when everything is acknowledged. @throws the first failure */
  async drain(): Promise<void> {
    await this.#underWay.at(-1)
    this.#underWay.length = 0
  }

  /** What is under way is given up. */
  close(): void {
    this.#channel?.close()
    this.#channel = undefined
  }

  /** Never rejects: gives the error instead. */
  async #attempt(batch: Batch): Promise<unknown> {
    try {
      this.#channel ??= this.#options.openChannel()
      await this.#channel.publish(textsOf(batch))
      return undefined
    } catch (error) {
      this.#hasFailed = true
      return error
    }
  }

  async #settle(batch: Batch, attempt: Promise<unknown>): Promise<void> {
    const failure = await attempt
    if (failure === undefined) return
    if (isOutcomeUnknown(failure)) await this.#options.onSentAgain(...linesOf(batch))
    await this.#sendUntilAcknowledged(batch)
  }

  async #sendUntilAcknowledged(batch: Batch): Promise<void> {
    const { client, retryMs, signal, onSentAgain } = this.#options
    const giveUpAt = performance.now() + retryMs
    const texts = textsOf(batch)
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      try {
        await client.publish(texts)
        return
      } catch (error) {
        const mayRetry = isPassing(error) && !signal.aborted && performance.now() + pause < giveUpAt
        if (!mayRetry) throw placed(error, batch)
        await sleep(pause)
        if (isOutcomeUnknown(error)) await onSentAgain(...linesOf(batch))
      }
    }
  }
}

function textsOf(batch: Batch): string[] {
  return batch.map(({ text }) => text)
}

function linesOf(batch: Batch): readonly [first: number, last: number] {
  return [batch[0]?.line ?? 0, batch.at(-1)?.line ?? 0]
}

/** Whether the request may have been done. */
function isOutcomeUnknown(error: unknown): boolean {
  return error instanceof NodeUnreachableError && !error.neverSent
}

/** Whether trying again may help. */
function isPassing(error: unknown): boolean {
  return error instanceof NodeUnreachableError || (error instanceof RequestRefusedError && error.status === 503)
}

/** Says which lines an error is about: of refused ones none was stored, of unanswered ones nobody knows. */
function placed(error: unknown, batch: Batch): unknown {
  const [first, last] = linesOf(batch)
  const lines = first === last ? `line ${String(first)}` : `lines ${String(first)} to ${String(last)}`
  if (error instanceof RequestRefusedError) {
    return new RequestRefusedError(error.status, error.wireCode, `${lines}: ${error.message}`)
  }
  if (!(error instanceof NodeUnreachableError)) return error
  const fate = error.neverSent ? 'not sent' : 'sent, but whether they were stored is not known'
  const reason = error instanceof OutcomeUnknownError ? error.reason : error.message
  return new NodeUnreachableError(`${reason}; ${lines}: ${fate}`, { cause: error, neverSent: error.neverSent })
}
