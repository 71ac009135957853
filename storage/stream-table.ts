import { streamIdOf, type NodeId, type OffsetMap, type StreamId } from '../core/index.js'
import { StreamState } from './stream-state.js'

/** All streams that the store knows, and the node's lamport clock, which follows from them. */
export class StreamTable {
  readonly nodeId: NodeId
  readonly #streams = new Map<StreamId, StreamState>()
  readonly #own = new Map<number, StreamState>()
  /** Lamport of the next event. */
  nextLamport = 0

  constructor(nodeId: NodeId) {
    this.nodeId = nodeId
  }

  get(stream: StreamId): StreamState | undefined {
    return this.#streams.get(stream)
  }

  /** The own stream of this number; unborn when it is new. */
  own(number: number): StreamState {
    let state = this.#own.get(number)
    if (state === undefined) {
      state = new StreamState(streamIdOf(this.nodeId, number))
      this.add(state)
    }
    return state
  }

  add(state: StreamState): void {
    this.#streams.set(state.stream, state)
    if (this.isOwn(state)) this.#own.set(state.number, state)
  }

  isOwn(state: StreamState): boolean {
    return state.stream.startsWith(this.nodeId)
  }

  all(): Iterable<StreamState> {
    return this.#streams.values()
  }

  /** Streams with events, or that had some. */
  *born(): Generator<StreamState> {
    for (const state of this.#streams.values()) if (!state.isUnborn) yield state
  }

  highestOwnNumber(): number {
    let highest = 0
    for (const state of this.born()) if (this.isOwn(state)) highest = Math.max(highest, state.number)
    return highest
  }

  offsets(): OffsetMap {
    const offsets = new Map<StreamId, number>()
    for (const state of this.born()) offsets.set(state.stream, state.nextOffset - 1)
    return offsets
  }
}
