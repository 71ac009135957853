import type { NodeId } from '../../core/index.js'
import type { SeededRandom } from './seeded-random.js'
import type { VirtualTime } from './virtual-time.js'

/** What happens to messages between two nodes. Probabilities from 0 to 1. */
export interface NetworkConditions {
  /** One way, least and most, ms. */
  readonly delayMs: readonly [number, number]
  /** Of a broadcast, per hop. Requests and answers are streams, which lose nothing while they last. */
  readonly loss: number
  /** That a broadcast comes twice over one hop. */
  readonly duplicate: number
  /** That a broadcast may overtake what was sent before it. */
  readonly reorder: number
  /** What one direction of a link carries; `Infinity` for no limit. */
  readonly bytesPerMs: number
  /** How long it takes to notice that the other side is cut off, ms; shorter cuts only delay. */
  readonly detectMs: number
  /** How long it takes to connect again once that is possible, least and most, ms. */
  readonly redialMs: readonly [number, number]
}

/** A quick, faultless local network. */
export const PERFECT_NETWORK: NetworkConditions = {
  delayMs: [0.2, 0.5],
  loss: 0,
  duplicate: 0,
  reorder: 0,
  bytesPerMs: Infinity,
  detectMs: 15_000,
  redialMs: [1_000, 3_000],
}

/** Broadcast bytes that may wait in one direction; what comes beyond is dropped. */
const MAX_BACKLOG_BYTES = 4 * 1024 * 1024

/** One direction of a link. */
interface Line {
  busyUntilMs: number
  lastArrivalMs: number
  /** What arrived while the network was partitioned: TCP sends it again afterwards. */
  held: (() => void)[]
}

/** What was done with a message: the bytes that wait before the next one, or that it was dropped. */
export type Carried = { readonly backlogMs: number } | 'dropped'

/** Two nodes that are connected to each other, or try to be. */
export class Link {
  readonly ends: readonly [NodeId, NodeId]
  up = false
  /** Neither end wants the other before. */
  cutUntilMs = -Infinity
  /** Cancels the change that is under way. */
  pending: (() => void) | undefined
  /** Tells the end that is left that the other one died, at the latest when that connects again. */
  tellEnd: (() => void) | undefined
  /** Counts connections: what was sent over one never arrives over the next. */
  #connection = 0
  #lines: [Line, Line] = [freshLine(), freshLine()]

  constructor(one: NodeId, other: NodeId) {
    this.ends = [one, other]
  }

  other(end: NodeId): NodeId {
    return end === this.ends[0] ? this.ends[1] : this.ends[0]
  }

  connect(): void {
    this.up = true
    this.#connection++
    this.#lines = [freshLine(), freshLine()]
  }

  disconnect(): void {
    this.up = false
    this.#lines = [freshLine(), freshLine()]
  }

  /** What the end of a partition delivers. */
  release(): void {
    for (const line of this.#lines) for (const arrive of line.held.splice(0)) arrive()
  }

  /** Streams arrive in order and complete; broadcasts as the conditions have it. */
  carry(
    from: NodeId,
    message: { readonly bytes: number; readonly stream: boolean; readonly arrive: () => void },
    network: {
      readonly time: VirtualTime
      readonly random: SeededRandom
      readonly conditions: NetworkConditions
      readonly passable: () => boolean
    },
  ): Carried {
    const { time, random, conditions } = network
    const { bytes, stream } = message
    const nowMs = time.monotonicMs()
    const line = this.#lines[from === this.ends[0] ? 0 : 1]
    const startMs = Math.max(nowMs, line.busyUntilMs)
    if (!stream && startMs > nowMs && (startMs - nowMs) * conditions.bytesPerMs > MAX_BACKLOG_BYTES) return 'dropped'
    line.busyUntilMs = startMs + bytes / conditions.bytesPerMs
    const backlogMs = line.busyUntilMs - nowMs
    if (!stream && random.chance(conditions.loss)) return { backlogMs }

    const connection = this.#connection
    const arrive = (): void => {
      if (!this.up || this.#connection !== connection) return
      if (line.held.length > 0 || !network.passable()) line.held.push(message.arrive)
      else message.arrive()
    }
    let atMs = line.busyUntilMs + random.between(...conditions.delayMs)
    if (stream || !random.chance(conditions.reorder)) {
      atMs = Math.max(atMs, line.lastArrivalMs)
      line.lastArrivalMs = atMs
    }
    time.after(atMs - nowMs, arrive)
    if (!stream && random.chance(conditions.duplicate)) {
      time.after(atMs - nowMs + random.between(...conditions.delayMs), arrive)
    }
    return { backlogMs }
  }
}

function freshLine(): Line {
  return { busyUntilMs: 0, lastArrivalMs: 0, held: [] }
}
