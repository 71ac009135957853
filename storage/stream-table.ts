import { streamIdOf, type NodeId, type OffsetMap, type StreamId } from '../core/index.js'
import { StreamState } from './stream-state.js'

/** Own streams of one epoch have numbers below this, counted from where the epoch begins. */
export const EPOCH_SIZE = 65_536

/**
 * Lamports of others beyond this do not raise our own, unless ours are there already: then by no more than a burst and a
 * million a second. Half of the way to what replicas refuse: else a single event from a node gone mad could push all
 * others to where nobody believes them any more, for good.
 */
const CREDIBLE_LAMPORT = 2 ** 50
const CREDIBLE_BURST = 2 ** 32
const CREDIBLE_PER_MS = 1000

/** All streams that the store knows, and the node's lamport clock, which follows from them. */
export class StreamTable {
  readonly nodeId: NodeId
  readonly #streams = new Map<StreamId, StreamState>()
  readonly #own = new Map<number, StreamState>()
  #nextLamport = 0
  /** Where own events were when the store was opened. */
  #openedLamport = 0
  #epoch: number

  constructor(nodeId: NodeId, epoch = 0) {
    this.nodeId = nodeId
    this.#epoch = epoch
  }

  /** Lamport of the next event. */
  get nextLamport(): number {
    return this.#nextLamport
  }

  /** Own events have got that far. */
  useLamports(nextLamport: number): void {
    this.#nextLamport = Math.max(this.#nextLamport, nextLamport)
  }

  /** Events of others have got that far, which were checked or are about to be visible. */
  hearLamport(nextLamport: number): void {
    const base = Math.max(CREDIBLE_LAMPORT, this.#openedLamport)
    if (nextLamport > base + CREDIBLE_BURST + CREDIBLE_PER_MS * performance.now()) return
    this.#nextLamport = Math.max(this.#nextLamport, nextLamport)
  }

  /** How far a stream had got when the store was opened. */
  restoreLamport(state: StreamState): void {
    if (!this.isOwn(state)) {
      this.hearLamport(state.nextLamport)
      return
    }
    this.useLamports(state.nextLamport)
    this.#openedLamport = Math.max(this.#openedLamport, state.nextLamport)
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
