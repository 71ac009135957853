import type { Sink } from './pipeline.js'
import { rowMeta, type Row } from './rows.js'
import { jsonText } from './text.js'
import type { Failure, Value } from './value.js'

/** Collects what comes out of a pipeline as rows. */
export class RowSink implements Sink {
  #rows: Row[] = []

  get size(): number {
    return this.#rows.length
  }

  /** Hands out the rows so far. */
  take(): Row[] {
    const rows = this.#rows
    this.#rows = []
    return rows
  }

  value(value: Value, anti: boolean): void {
    const payload = jsonText(value)
    if (payload === undefined) this.diagnose('warning', 'the result is too large')
    else this.#rows.push({ kind: anti ? 'antiEvent' : 'event', meta: rowMeta(value.meta), payload })
  }

  failure(failure: Failure): void {
    this.diagnose('warning', failure.message)
  }

  diagnose(severity: 'warning' | 'error', message: string): void {
    this.#rows.push({ kind: 'diagnostic', severity, message })
  }
}
