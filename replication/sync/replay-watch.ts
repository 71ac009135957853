import type { StreamId } from '../../core/index.js'
import type { SwarmTime } from './swarm-time.js'

/** After this time no honest node passes a broadcast on any more: gossip remembers what it has seen for half as long. ms */
const OLD_MS = 60_000

/** Remembers how far streams were a while ago, so that what is repeated is told from what is merely late. */
export class ReplayWatch {
  readonly #time: SwarmTime
  /** How far streams were at the turn before the last one, at the last one, and are now. */
  #old: ReadonlyMap<StreamId, number> = new Map()
  #before: ReadonlyMap<StreamId, number> = new Map()
  readonly #recent = new Map<StreamId, number>()
  #turnedMs: number

  constructor(time: SwarmTime) {
    this.#time = time
    this.#turnedMs = time.monotonicMs()
  }

  reached(stream: StreamId, nextOffset: number): void {
    this.#turn()
    this.#recent.set(stream, nextOffset)
  }

  /** Whether the stream was that far already at least {@link OLD_MS} ago. */
  isOld(stream: StreamId, nextOffset: number): boolean {
    this.#turn()
    return nextOffset <= (this.#old.get(stream) ?? -1)
  }

  #turn(): void {
    const nowMs = this.#time.monotonicMs()
    if (nowMs - this.#turnedMs < OLD_MS) return
    this.#turnedMs = nowMs
    this.#old = this.#before
    this.#before = new Map(this.#recent)
  }
}
