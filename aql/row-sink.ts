import type { Sink } from './pipeline.js'
import { rowMeta, type Row, type RowMeta } from './rows.js'
import { JsonWriter, shortJson } from './text.js'
import type { Failure, Value } from './value.js'

/** Values of one row that are written at once; longer rows are put off. */
const VALUES_AT_ONCE = 10_000

/** A row that is not written to its end yet. */
interface Unfinished {
  readonly kind: 'event' | 'antiEvent'
  readonly meta: RowMeta
  readonly writer: JsonWriter
}

const TOO_LARGE: Row = { kind: 'diagnostic', severity: 'warning', message: 'the result is too large' }

/** Collects what comes out of a pipeline as rows. */
export class RowSink implements Sink {
  #rows: Row[] = []
  /** Comes after all of `#rows`; whoever feeds the pipeline has to finish it before it goes on. */
  #unfinished: Unfinished | undefined

  get size(): number {
    return this.#rows.length
  }

  /** Whether there is a long row, which {@link advance} has to finish. */
  get isUnfinished(): boolean {
    return this.#unfinished !== undefined
  }

  /** Goes on with a long row. @returns whether it is finished */
  advance(): boolean {
    return this.#write(VALUES_AT_ONCE)
  }

  /** Hands out the rows so far. */
  take(): Row[] {
    this.#write(Infinity)
    const rows = this.#rows
    this.#rows = []
    return rows
  }

  value(value: Value, anti: boolean): void {
    this.#write(Infinity)
    const kind = anti ? 'antiEvent' : 'event'
    const meta = rowMeta(value.meta)
    const payload = shortJson(value)
    if (payload !== undefined) this.#rows.push({ kind, meta, payload })
    else {
      this.#unfinished = { kind, meta, writer: new JsonWriter(value) }
      this.#write(VALUES_AT_ONCE)
    }
  }

  #write(values: number): boolean {
    if (this.#unfinished === undefined) return true
    const { kind, meta, writer } = this.#unfinished
    if (!writer.advance(values)) return false
    this.#unfinished = undefined
    const payload = writer.text
    this.#rows.push(payload === undefined ? TOO_LARGE : { kind, meta, payload })
    return true
  }

  failure(failure: Failure): void {
    this.diagnose('warning', failure.message)
  }

  diagnose(severity: 'warning' | 'error', message: string): void {
    this.#write(Infinity)
    this.#rows.push({ kind: 'diagnostic', severity, message })
  }
}
