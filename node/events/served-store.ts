import { parseStreamId, type EventBatch, type OffsetMap, type ReadRequest, type StreamId } from '../../core/index.js'
import { EPOCH_SIZE, type CommitListener, type EventStore } from '../../storage/index.js'

/** What of the store apps get to see. */
export type ServedStore = Pick<EventStore, 'nodeId' | 'append' | 'offsets' | 'missing' | 'read' | 'onCommit'>

/** The store without an own stream that is nobody's business but the operator's. */
export class StoreWithout implements ServedStore {
  readonly #store: ServedStore
  readonly #isHidden = new Map<StreamId, boolean>()
  readonly #number: number

  /** @param number of the stream, in whatever epoch */
  constructor(store: ServedStore, number: number) {
    this.#store = store
    this.#number = number
  }

  get nodeId(): EventStore['nodeId'] {
    return this.#store.nodeId
  }

  append(...[request]: Parameters<EventStore['append']>): ReturnType<EventStore['append']> {
    return this.#store.append(request)
  }

  offsets(): OffsetMap {
    return this.#without(this.#store.offsets())
  }

  missing(): ReadonlyMap<StreamId, number> {
    return this.#without(this.#store.missing())
  }

  read(request: ReadRequest): AsyncGenerator<EventBatch> {
    return this.#store.read({ ...request, upperBound: this.#without(request.upperBound) })
  }

  onCommit(listener: CommitListener): () => void {
    return this.#store.onCommit((batches) => {
      const seen = batches.filter(({ stream }) => !this.#hides(stream))
      if (seen.length > 0) listener(seen)
    })
  }

  #without<Value>(streams: ReadonlyMap<StreamId, Value>): ReadonlyMap<StreamId, Value> {
    return new Map([...streams].filter(([stream]) => !this.#hides(stream)))
  }

  #hides(stream: StreamId): boolean {
    const known = this.#isHidden.get(stream)
    if (known !== undefined) return known
    if (!stream.startsWith(this.nodeId)) return false
    const hides = parseStreamId(stream).number % EPOCH_SIZE === this.#number
    this.#isHidden.set(stream, hides)
    return hides
  }
}
