import { streamIdOf, type NodeId, type OffsetMap, type StreamId } from '../core/index.js'
import { StreamState } from './stream-state.js'

/** Own streams of one epoch have numbers below this, counted from where the epoch begins. */
export const EPOCH_SIZE = 65_536

/** All streams that the store knows, and the node's lamport clock, which follows from them. */
export class StreamTable {
  readonly nodeId: NodeId
  readonly #streams = new Map<StreamId, StreamState>()
  readonly #own = new Map<number, StreamState>()
  /** Lamport of the next event. */
  nextLamport = 0
  #epoch: number

  constructor(nodeId: NodeId, epoch = 0) {
    this.nodeId = nodeId
    this.#epoch = epoch
  }

  /** Raised when the node goes on from an older backup: what it had written before belongs to the past. */
  get epoch(): number {
    return this.#epoch
  }

  /** Own streams of earlier epochs are replicas from now on: others may hold more of them than we do. */
  beginEpoch(epoch: number): void {
    this.#epoch = epoch
    for (const state of this.#streams.values()) state.isReplica = this.#isReplica(state)
  }

  get(stream: StreamId): StreamState | undefined {
    return this.#streams.get(stream)
  }

  /** The own stream that this number stands for in the present epoch; unborn when it is new. */
  own(number: number): StreamState {
    const numberInAll = this.#epoch * EPOCH_SIZE + number
    let state = this.#own.get(numberInAll)
    if (state === undefined) {
      state = new StreamState(streamIdOf(this.nodeId, numberInAll))
      this.add(state)
    }
    return state
  }

  add(state: StreamState): void {
    state.isReplica = this.#isReplica(state)
    this.#streams.set(state.stream, state)
    if (this.isOwn(state)) this.#own.set(state.number, state)
  }

  /** Whether this node has written it, in whatever epoch. */
  isOwn(state: StreamState): boolean {
    return state.stream.startsWith(this.nodeId)
  }

  #isReplica(state: StreamState): boolean {
    return !this.isOwn(state) || state.number < this.#epoch * EPOCH_SIZE
  }

  all(): Iterable<StreamState> {
    return this.#streams.values()
  }

  /** Streams with events, or that had some. */
  *born(): Generator<StreamState> {
    for (const state of this.#streams.values()) if (!state.isUnborn) yield state
  }

  /** Highest number of an own stream within its epoch. */
  highestOwnNumber(): number {
    let highest = 0
    for (const state of this.born()) if (this.isOwn(state)) highest = Math.max(highest, state.number % EPOCH_SIZE)
    return highest
  }

  offsets(): OffsetMap {
    const offsets = new Map<StreamId, number>()
    for (const state of this.born()) offsets.set(state.stream, state.nextOffset - 1)
    return offsets
  }
}
