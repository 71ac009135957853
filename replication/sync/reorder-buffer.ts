import type { StreamId } from '../../core/index.js'
import type { VerifiedRun } from '../../storage/index.js'

/** Bytes, as received, of all that is kept. */
const MAX_BYTES = 4 * 1024 * 1024
/** Runs of one stream. */
const MAX_RUNS = 256

interface Early {
  readonly run: VerifiedRun
  readonly bytes: number
}

/** Commits that overtook those before them, kept until these come. What does not fit is fetched later. */
export class ReorderBuffer {
  readonly #streams = new Map<StreamId, Map<number, Early>>()
  #bytes = 0

  keep(run: VerifiedRun, bytes: number): void {
    if (this.#bytes + bytes > MAX_BYTES) return
    let runs = this.#streams.get(run.stream)
    if (runs === undefined) this.#streams.set(run.stream, (runs = new Map<number, Early>()))
    if (runs.has(run.from) || runs.size >= MAX_RUNS) return
    runs.set(run.from, { run, bytes })
    this.#bytes += bytes
  }

  /** What follows on an offset, or contains it; what lies before is forgotten. */
  take(stream: StreamId, nextOffset: number): VerifiedRun | undefined {
    const runs = this.#streams.get(stream)
    if (runs === undefined) return undefined
    let found: VerifiedRun | undefined
    for (const [from, { run, bytes }] of runs) {
      if (from > nextOffset) continue
      runs.delete(from)
      this.#bytes -= bytes
      if (run.head.nextOffset > nextOffset) found = run
    }
    if (runs.size === 0) this.#streams.delete(stream)
    return found
  }
}
