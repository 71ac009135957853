import type { Clock } from '../core/index.js'
import { AuditSinkError, AuditUnavailableError } from './errors.js'
import { HashChain } from './hash-chain.js'
import { redact, type Redaction } from './redaction.js'
import type { AuditSink } from './sink.js'

/**
 * `async`: operations go on whatever becomes of their records. `intent`: an operation is done only when a record of what
 * it will do is kept.
 */
export type AuditMode = 'async' | 'intent'

/** Where the audit reports what no caller asked for; pino has this form. */
export interface AuditLogger {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

/** What {@link AuditLog} needs. */
export interface AuditOptions {
  readonly sink: AuditSink
  readonly mode: AuditMode
  /** Id of the node. */
  readonly node: string
  readonly clock: Clock
  readonly logger: AuditLogger
  readonly redact: readonly Redaction[]
  /** Needs a sink that keeps the order of what it takes. */
  readonly hashChain: boolean
  /** Bytes of records that wait. */
  readonly queueBytes: number
  /** How long a batch may take, and an operation wait for its record, milliseconds. */
  readonly timeoutMs: number
}

/** Something that is done and written down. */
export interface Operation {
  /** Such as `state.txn`. */
  readonly action: string
  /** Who asks for it; `undefined` for the operator. */
  readonly app: string | undefined
  /** What it is about, JSON text of an object. */
  readonly detail: string
}

/** What became of it, as members of the record. */
export type Outcome = Readonly<Record<string, string | number | boolean>>

/** Counts since start. */
export interface AuditCounters {
  /** Records that are kept by the sink. */
  readonly written: number
  /** Records that were given up, since too many waited. */
  readonly dropped: number
  /** Operations that were refused. */
  readonly refused: number
  /** Batches that the sink did not take. */
  readonly failures: number
  readonly queuedRecords: number
  readonly queuedBytes: number
  /** Whether the last batch was taken. */
  readonly isUp: boolean
}

/** What goes to the sink at once, at most. */
const BATCH_RECORDS = 1000
const BATCH_BYTES = 1024 * 1024

/** Milliseconds until a batch that failed is tried again: the first time, and at most. */
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 10_000

interface Waiting {
  readonly line: string
  /** Whether the sink may have it although it did not say so. */
  wasTried: boolean
  /** Somebody does something only when this is kept. */
  readonly intent: { readonly kept: () => void; readonly failed: (reason: unknown) => void } | undefined
}

/**
 * Writes down what is done, one line of JSON for each record. Apart from what it watches: nothing here knows what an operation
 * is, and in the mode `async` nothing that happens here is noticed by it.
 */
export class AuditLog implements AsyncDisposable {
  readonly #options: AuditOptions
  readonly #run: string
  readonly #closing = new AbortController()
  readonly #queue = new Set<Waiting>()
  #queuedBytes = 0
  #sequence = 0
  /** Since the last record that found room. */
  #lost = 0
  #counters = { written: 0, dropped: 0, refused: 0, failures: 0, isUp: true }
  /** `undefined` until the sink is open. */
  #chain: HashChain | undefined
  #isOpen = false
  #writing: Promise<void> | undefined
  #wake: () => void = () => undefined
  #closed: Promise<void> | undefined

  constructor(options: AuditOptions) {
    this.#options = options
    this.#run = options.clock.nowMicros().toString(36)
  }

  get counters(): AuditCounters {
    return { ...this.#counters, queuedRecords: this.#queue.size, queuedBytes: this.#queuedBytes }
  }

  /**
   * Does something and writes it down.
   *
   * @throws AuditUnavailableError when it could not be written down before, in the mode `intent`; else what `run` throws
   */
  async watch<R>(operation: Operation, run: () => Promise<R>, outcomeOf: (result: R) => Outcome): Promise<R> {
    const id = `${this.#run}-${String(++this.#sequence)}`
    const detail = this.#redacted(operation.detail)
    const isIntent = this.#options.mode === 'intent'
    if (isIntent) await this.#announce(id, operation, detail)
    let outcome: Outcome = { error: 'ERR_INTERNAL' }
    try {
      const result = await run()
      outcome = outcomeOf(result)
      return result
    } catch (error) {
      outcome = { error: codeOf(error) }
      throw error
    } finally {
      if (isIntent) this.#note(this.#outcomeLine(id, operation, outcome), true)
      else this.#note(this.#wholeLine(id, operation, detail, outcome), false)
    }
  }

  /** Takes no more, and waits for what is queued as long as one batch may take. Idempotent. */
  close(): Promise<void> {
    return (this.#closed ??= this.#shutdown())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #shutdown(): Promise<void> {
    const { sink, logger, timeoutMs } = this.#options
    // A disk that hangs would be waited for without end.
    this.#wake()
    if (this.#writing !== undefined) await atMost(this.#writing, timeoutMs)
    this.#closing.abort()
    this.#wake()
    if (this.#queue.size > 0) logger.warn({ records: this.#queue.size }, 'records of the audit are lost')
    await sink.close().catch((error: unknown) => {
      logger.warn({ err: error }, 'the audit sink could not be closed')
    })
  }

  /** Resolves when the sink keeps what is about to be done. @throws AuditUnavailableError */
  #announce(id: string, operation: Operation, detail: string | undefined): Promise<void> {
    const { sink, timeoutMs, queueBytes } = this.#options
    return new Promise<void>((resolve, reject) => {
      const line = `${this.#headOf('intent', id, operation)},"operation":${detail ?? 'null'}}`
      const refuse = (reason: unknown): void => {
        clearTimeout(timer)
        this.#counters.refused++
        const refusal = new AuditUnavailableError(sink.name, reason)
        if (waiting.wasTried) this.#note(this.#outcomeLine(id, operation, { error: refusal.code }), false)
        reject(refusal)
      }
      const timer = setTimeout(() => {
        this.#withdraw(waiting)
        refuse(new AuditSinkError(`it took longer than ${String(timeoutMs)} ms`))
      }, timeoutMs)
      const kept = (): void => {
        clearTimeout(timer)
        resolve()
      }
      const waiting: Waiting = { line, wasTried: false, intent: { kept, failed: refuse } }
      if (detail === undefined) refuse(new AuditSinkError('the record could not be made'))
      else if (this.#closed !== undefined) refuse(new AuditSinkError('the node is stopping'))
      else if (this.#queuedBytes + line.length > queueBytes) refuse(new AuditSinkError('too much waits to be written'))
      else this.#enqueue(waiting)
    })
  }

  /** @param isOwed whether its intent is kept: then it waits also beyond the bound, which operations under way limit */
  #note(line: string, isOwed: boolean): void {
    const isTooMuch = !isOwed && this.#queuedBytes + line.length > this.#options.queueBytes
    if (isTooMuch || this.#closing.signal.aborted) {
      if (this.#lost === 0) this.#options.logger.warn({ event: 'audit.dropped' }, 'records of the audit are given up')
      this.#lost++
      this.#counters.dropped++
      return
    }
    if (this.#lost > 0) this.#enqueue({ line: this.#gapLine(), wasTried: false, intent: undefined })
    this.#enqueue({ line, wasTried: false, intent: undefined })
  }

  #enqueue(waiting: Waiting): void {
    this.#queue.add(waiting)
    this.#queuedBytes += waiting.line.length
    // Whoever waits for its record is told at once whether the sink is still down.
    if (waiting.intent !== undefined) this.#wake()
    this.#writing ??= this.#write()
  }

  #withdraw(waiting: Waiting): void {
    if (this.#queue.delete(waiting)) this.#queuedBytes -= waiting.line.length
  }

  /** Never rejects. */
  async #write(): Promise<void> {
    let failures = 0
    // Not before the caller is through: what is enqueued together is written together.
    await Promise.resolve()
    while (this.#queue.size > 0 && !this.#closing.signal.aborted) {
      try {
        await this.#writeBatch()
        if (failures > 0) this.#options.logger.info({ event: 'audit.up' }, 'the audit sink takes records again')
        failures = 0
      } catch (error) {
        if (failures++ === 0) this.#options.logger.warn({ event: 'audit.down', err: error }, 'the audit sink is down')
        this.#failed(error)
        // On the way out each batch has one more try.
        if (this.#closed !== undefined && failures > 1) break
        if (this.#queue.size > 0) await this.#pause(Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS))
      }
    }
    this.#writing = undefined
  }

  async #writeBatch(): Promise<void> {
    const { sink, hashChain, timeoutMs } = this.#options
    if (!this.#isOpen) {
      const newest = await sink.open()
      this.#chain = hashChain ? new HashChain(newest) : undefined
      this.#isOpen = true
    }
    const batch = this.#nextBatch()
    const plain = batch.map(({ line }) => line)
    const lines = this.#chain?.link(plain) ?? plain
    await sink.write(lines, AbortSignal.any([this.#closing.signal, AbortSignal.timeout(timeoutMs)]))
    this.#chain?.take(lines)
    this.#counters.isUp = true
    this.#counters.written += batch.length
    for (const waiting of batch) {
      this.#withdraw(waiting)
      waiting.intent?.kept()
    }
  }

  #nextBatch(): Waiting[] {
    const batch: Waiting[] = []
    let bytes = 0
    for (const waiting of this.#queue) {
      bytes += waiting.line.length
      if (batch.length >= BATCH_RECORDS || (batch.length > 0 && bytes > BATCH_BYTES)) break
      waiting.wasTried = true
      batch.push(waiting)
    }
    return batch
  }

  /** Who waits for its record does not wait for a sink that is down; the other records do. */
  #failed(error: unknown): void {
    this.#counters.failures++
    this.#counters.isUp = false
    for (const waiting of [...this.#queue]) {
      if (waiting.intent === undefined) continue
      this.#withdraw(waiting)
      waiting.intent.failed(error)
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #redacted(detail: string): string | undefined {
    try {
      return redact(detail, this.#options.redact)
    } catch {
      // What cannot be looked through must not leave the process.
      return undefined
    }
  }

  #headOf(type: string, id: string, { action, app }: Operation): string {
    const { node, clock } = this.#options
    const head = { type, id, at: clock.nowMicros(), node, app: app ?? null, action }
    return JSON.stringify(head).slice(0, -1)
  }

  #wholeLine(id: string, operation: Operation, detail: string | undefined, outcome: Outcome): string {
    const head = this.#headOf('operation', id, operation)
    return `${head},"operation":${detail ?? 'null'},"outcome":${JSON.stringify(outcome)}}`
  }

  #outcomeLine(id: string, operation: Operation, outcome: Outcome): string {
    return `${this.#headOf('outcome', id, operation)},"outcome":${JSON.stringify(outcome)}}`
  }

  /** Tells the reader how many are not there. */
  #gapLine(): string {
    const { node, clock } = this.#options
    const count = this.#lost
    this.#lost = 0
    const id = `${this.#run}-${String(++this.#sequence)}`
    return JSON.stringify({ type: 'dropped', id, at: clock.nowMicros(), node, count })
  }
}

function codeOf(error: unknown): string {
  const { code } = error as { readonly code?: unknown }
  return typeof code === 'string' ? code : 'ERR_INTERNAL'
}

/** Resolves with the work, or when its time is over. */
function atMost(work: Promise<void>, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    void work.then(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}
