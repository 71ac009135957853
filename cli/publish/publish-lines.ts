import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { NodeUnreachableError, RequestRefusedError, splitLineBytes, type Client } from '../../client/index.js'
import { MillraceError } from '../../core/index.js'
import { buildEvent, type BuilderOptions } from './event-builder.js'
import { InputError, LineQueue, UnreadableInputError, type QueuedEvent } from './line-queue.js'
import type { Progress } from './resume-file.js'

export interface PublishLinesOptions {
  readonly client: Client
  readonly input: AsyncIterable<Uint8Array>
  readonly builder: BuilderOptions
  /** Events per request. */
  readonly batch: number
  /** How long to go on trying when the node does not answer, milliseconds. */
  readonly retryMs: number
  /** Where an earlier call ended. */
  readonly from: Progress
  /** Ends after the request under way. */
  readonly signal: AbortSignal
  /** Called before a request is sent and after it is acknowledged; the next step waits for it. */
  readonly remember: (progress: Progress) => Promise<void>
  /** Lines are sent again although they may have been stored. */
  readonly onSentAgain: (firstLine: number, lastLine: number) => Promise<void>
  readonly onAcknowledged: (totals: Totals) => void
}

export interface Totals {
  readonly events: number
  /** Lines read and acknowledged, with those of earlier calls. */
  readonly lines: number
  readonly seconds: number
}

/** UTF-16 units per request. */
const MOST_TEXT = 4 * 1024 * 1024

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 2_000

/** Publishes the events of a line-wise input in order, one request at a time. */
export async function publishLines(options: PublishLinesOptions): Promise<Totals> {
  const { from, signal } = options
  const started = performance.now()
  const queue = new LineQueue()
  const stop = (): void => {
    queue.end()
  }
  signal.addEventListener('abort', stop, { once: true })
  const reading = readInto(queue, options)
  let progress = from
  let events = 0
  const totals = (): Totals => ({
    events,
    lines: progress.acknowledgedLines,
    seconds: (performance.now() - started) / 1000,
  })
  try {
    for (;;) {
      const taken = signal.aborted ? [] : await queue.take(options.batch, MOST_TEXT)
      const lastLine = taken.at(-1)?.line
      if (lastLine === undefined) break
      const firstLine = taken[0]?.line ?? lastLine
      if (events === 0 && firstLine <= from.sentLines) await options.onSentAgain(firstLine, from.sentLines)
      progress = { ...progress, sentLines: Math.max(lastLine, progress.sentLines) }
      await options.remember(progress)
      await sendUntilAcknowledged(taken, options)
      progress = { ...progress, acknowledgedLines: lastLine }
      await options.remember(progress)
      events += taken.length
      options.onAcknowledged(totals())
    }
  } finally {
    signal.removeEventListener('abort', stop)
    queue.end()
  }
  if (!signal.aborted) await reading
  return totals()
}

/** Reads, checks and queues; its failure comes out of the queue behind the good lines before it. */
async function readInto(queue: LineQueue, { input, builder, from, signal }: PublishLinesOptions): Promise<void> {
  let line = 0
  try {
    for await (const bytes of splitLineBytes(input)) {
      line += 1
      if (signal.aborted) break
      if (line <= from.acknowledgedLines || isBlank(bytes)) continue
      const goesOn = await queue.push({ line, text: buildEvent(bytes, builder) })
      if (!goesOn) break
    }
    queue.end()
  } catch (error) {
    queue.end(
      error instanceof MillraceError
        ? new InputError(`line ${String(line)}: ${error.message}`, { cause: error })
        : new UnreadableInputError(`cannot read the input: ${String(error)}`, { cause: error }),
    )
  }
}

function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d)
}

async function sendUntilAcknowledged(taken: readonly QueuedEvent[], options: PublishLinesOptions): Promise<void> {
  const { client, retryMs, signal, onSentAgain } = options
  const giveUpAt = performance.now() + retryMs
  const texts = taken.map(({ text }) => text)
  const first = taken[0]?.line ?? 0
  const last = taken.at(-1)?.line ?? 0
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      await client.publish(texts)
      return
    } catch (error) {
      const mayRetry = isPassing(error) && !signal.aborted && performance.now() + pause < giveUpAt
      if (!mayRetry) throw placed(error, first, last)
      await sleep(pause)
      const isUnknown = error instanceof NodeUnreachableError && !error.neverSent
      if (isUnknown) await onSentAgain(first, last)
    }
  }
}

/** Whether trying again may help. */
function isPassing(error: unknown): boolean {
  return error instanceof NodeUnreachableError || (error instanceof RequestRefusedError && error.status === 503)
}

/** Says which lines an error is about: of refused ones none was stored, of unanswered ones nobody knows. */
function placed(error: unknown, first: number, last: number): unknown {
  const lines = first === last ? `line ${String(first)}` : `lines ${String(first)} to ${String(last)}`
  if (error instanceof RequestRefusedError) {
    return new RequestRefusedError(error.status, error.wireCode, `${lines}: ${error.message}`)
  }
  if (!(error instanceof NodeUnreachableError)) return error
  const fate = error.neverSent ? 'not sent' : 'sent, but whether they were stored is not known'
  return new NodeUnreachableError(`${error.message}; ${lines}: ${fate}`, { cause: error, neverSent: error.neverSent })
}
