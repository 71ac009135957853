import { parseStreamId, type NodeId, type StreamId } from '../../core/index.js'
import type { VerifiedRun } from '../../storage/index.js'

/** Bytes of the lines of all that is kept, and of what one node has written. */
const MAX_BYTES = 16 * 1024 * 1024
const MAX_BYTES_PER_NODE = 4 * 1024 * 1024
/** Runs of one stream. */
const MAX_RUNS = 256

/** Commits that overtook those before them, kept until these come. What does not fit is fetched later. */
export class ReorderBuffer {
  /** The stream that something came of last is the last. */
  readonly #streams = new Map<StreamId, Map<number, VerifiedRun>>()
  readonly #bytesByNode = new Map<NodeId, number>()
  #bytes = 0

  keep(run: VerifiedRun): void {
    const { nodeId } = parseStreamId(run.stream)
    if ((this.#bytesByNode.get(nodeId) ?? 0) + run.lineBytes > MAX_BYTES_PER_NODE) return
    const runs = this.#streams.get(run.stream) ?? new Map<number, VerifiedRun>()
    if (runs.has(run.from) || runs.size >= MAX_RUNS) return
    this.#streams.delete(run.stream)
    this.#streams.set(run.stream, runs)
    runs.set(run.from, run)
    this.#count(run, run.lineBytes)
    for (const oldest of this.#streams.values()) {
      if (this.#bytes <= MAX_BYTES) return
      for (const each of [...oldest.values()]) this.#drop(each)
    }
  }

  /** What follows on an offset, or contains it; what lies before is forgotten. */
  take(stream: StreamId, nextOffset: number): VerifiedRun | undefined {
    let found: VerifiedRun | undefined
    for (const run of [...(this.#streams.get(stream)?.values() ?? [])]) {
      if (run.from > nextOffset) continue
      this.#drop(run)
      if (run.head.nextOffset > nextOffset) found = run
    }
    return found
  }

  #drop(run: VerifiedRun): void {
    const runs = this.#streams.get(run.stream)
    runs?.delete(run.from)
    if (runs?.size === 0) this.#streams.delete(run.stream)
    this.#count(run, -run.lineBytes)
  }

  #count({ stream }: VerifiedRun, bytes: number): void {
    const { nodeId } = parseStreamId(stream)
    const ofNode = (this.#bytesByNode.get(nodeId) ?? 0) + bytes
    if (ofNode > 0) this.#bytesByNode.set(nodeId, ofNode)
    else this.#bytesByNode.delete(nodeId)
    this.#bytes += bytes
  }
}
