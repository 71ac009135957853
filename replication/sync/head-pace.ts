import type { StreamId } from '../../core/index.js'
import { Allowance } from '../allowance.js'
import type { SwarmTime } from './swarm-time.js'

/** New heads of a stream of which nothing more has come meanwhile: burst, per second. An honest owner's come every ten seconds. */
const HEADS = [4, 2] as const
/** Streams that are remembered. */
const MAX_STREAMS = 4096

interface Pace {
  /** How much of the stream is held. */
  readonly held: number
  readonly allowance: Allowance
}

/** Tells owners whose heads run away from what anybody can give from those whose events follow. */
export class HeadPace {
  readonly #time: SwarmTime
  readonly #paces = new Map<StreamId, Pace>()

  constructor(time: SwarmTime) {
    this.#time = time
  }

  /** A head told of more than was known. @returns whether the stream has had too many of them */
  isTooMuch(stream: StreamId, held: number): boolean {
    const nowMs = this.#time.monotonicMs()
    let pace = this.#paces.get(stream)
    if (pace?.held !== held) {
      this.#paces.delete(stream)
      this.#paces.set(stream, (pace = { held, allowance: new Allowance(...HEADS, nowMs) }))
      const [oldest] = this.#paces.keys()
      if (this.#paces.size > MAX_STREAMS && oldest !== undefined) this.#paces.delete(oldest)
    }
    return !pace.allowance.take(1, nowMs)
  }
}
