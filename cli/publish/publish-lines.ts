import { performance } from 'node:perf_hooks'
import { splitLineBytes } from '../../client/index.js'
import { MillraceError } from '../../core/index.js'
import { BatchSender, type Batch, type BatchSenderOptions } from './batch-sender.js'
import { InputError, LineQueue, UnreadableInputError } from './line-queue.js'
import type { Progress } from './resume-file.js'

export interface PublishLinesOptions extends Omit<BatchSenderOptions, 'onFailure'> {
  readonly input: AsyncIterable<Uint8Array>
  /** Makes the event of a line, as the publish request takes it; `undefined` for a line that is none. */
  readonly build: (line: Uint8Array) => string | undefined
  /** Events per request. */
  readonly batch: number
  /** Where an earlier call ended. */
  readonly from: Progress
  /** Called before a request is sent, which waits for it, and after it is acknowledged; never twice at a time. */
  readonly remember: (progress: Progress) => Promise<void>
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

/** Publishes the events of a line-wise input in order. */
export async function publishLines(options: PublishLinesOptions): Promise<Totals> {
  const { from, signal } = options
  const started = performance.now()
  const queue = new LineQueue()
  const stop = (): void => {
    queue.end()
  }
  signal.addEventListener('abort', stop, { once: true })
  const reading = readInto(queue, options)
  const record = new ProgressRecord(from, options.remember)
  const sender = new BatchSender({
    ...options,
    onFailure: (error) => {
      queue.end(error)
    },
  })
  let events = 0
  const totals = (): Totals => ({
    events,
    lines: record.progress.acknowledgedLines,
    seconds: (performance.now() - started) / 1000,
  })
  try {
    for (let isFirst = true; ; isFirst = false) {
      const taken = signal.aborted ? [] : await takeFrom(queue, options.batch, sender)
      const [firstLine, lastLine] = [taken[0]?.line, taken.at(-1)?.line]
      if (firstLine === undefined || lastLine === undefined) break
      if (isFirst && firstLine <= from.sentLines) await options.onSentAgain(firstLine, from.sentLines)
      await record.sent(lastLine)
      await sender.send(taken, async () => {
        events += taken.length
        await record.acknowledged(lastLine)
        options.onAcknowledged(totals())
      })
    }
    await sender.drain()
  } finally {
    signal.removeEventListener('abort', stop)
    queue.end()
    sender.close()
  }
  if (!signal.aborted) await reading
  return totals()
}

/** What is under way when the input ends with an error is waited for; its own failure comes first. */
async function takeFrom(queue: LineQueue, most: number, sender: BatchSender): Promise<Batch> {
  try {
    return await queue.take(most, MOST_TEXT)
  } catch (error) {
    await sender.drain()
    throw error
  }
}

/** The progress, and the memory of it: changes that come while it is being written are written together. */
class ProgressRecord {
  progress: Progress
  readonly #remember: (progress: Progress) => Promise<void>
  #writing: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined

  constructor(from: Progress, remember: (progress: Progress) => Promise<void>) {
    this.progress = from
    this.#remember = remember
  }

  sent(line: number): Promise<void> {
    this.progress = { ...this.progress, sentLines: Math.max(line, this.progress.sentLines) }
    return this.#write()
  }

  acknowledged(line: number): Promise<void> {
    this.progress = { ...this.progress, acknowledgedLines: line }
    return this.#write()
  }

  #write(): Promise<void> {
    this.#next ??= this.#writing = this.#writing.then(() => {
      this.#next = undefined
      return this.#remember(this.progress)
    })
    return this.#next
  }
}

/** Reads, checks and queues; its failure comes out of the queue behind the good lines before it. */
async function readInto(queue: LineQueue, { input, build, from, signal }: PublishLinesOptions): Promise<void> {
  let line = 0
  try {
    for await (const bytes of splitLineBytes(input)) {
      line += 1
      if (signal.aborted) break
      if (line <= from.acknowledgedLines || isBlank(bytes)) continue
      const text = build(bytes)
      if (text !== undefined && !(await queue.push({ line, text }))) break
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
