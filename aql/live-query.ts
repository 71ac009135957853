import type { StoredEvent, TagSelection } from '../core/index.js'
import type { CompiledQuery, World } from './compiled.js'
import { readValue } from './json-slice.js'
import { Pipeline } from './pipeline.js'
import { fatalMessage } from './query-run.js'
import { RowSink } from './row-sink.js'
import type { Row } from './rows.js'
import { RunScope } from './scope.js'

/** A query that follows events as they come. */
export interface LiveQuery {
  /** The events it wants to see. */
  readonly selection: TagSelection
  /**
   * Events of the past or live ones, in the order of delivery.
   *
   * @param more another event follows at once: aggregates wait for it, as what lies between the events of one delivery is
   *   of no use to anybody
   */
  feed(event: StoredEvent, more?: boolean): readonly Row[]
  /** The past is over: aggregates have their first value. */
  caughtUp(): readonly Row[]
  /** Nothing more will come: a `LIMIT` is used up, or an error of severity `error` was among the rows. */
  readonly done: boolean
}

const NO_ROWS: readonly Row[] = []

/** Runs the operations synchronously: sub-queries are not offered on subscriptions. */
export class LivePipeline implements LiveQuery {
  readonly selection: TagSelection
  done = false
  readonly #pipeline: Pipeline
  readonly #sink = new RowSink()
  readonly #past: readonly StoredEvent[]
  #isCaughtUp = false

  /** @param past events that precede everything else */
  constructor(query: CompiledQuery, world: World, selection: TagSelection, past: readonly StoredEvent[]) {
    this.selection = selection
    this.#past = past
    this.#pipeline = new Pipeline(query, new RunScope(world, undefined), undefined, this.#sink, true)
  }

  feed(event: StoredEvent, more = false): readonly Row[] {
    if (this.done) return NO_ROWS
    this.#guard(() => {
      this.#feed(event, more)
    })
    return this.#sink.size === 0 ? NO_ROWS : this.#sink.take()
  }

  caughtUp(): readonly Row[] {
    if (this.done || this.#isCaughtUp) return NO_ROWS
    this.#guard(() => {
      for (const event of this.#past) {
        this.#feed(event, true)
        if (this.done) return
      }
      this.#isCaughtUp = true
      this.#pipeline.end()
      this.done = this.#pipeline.isUsedUp
    })
    return this.#sink.take()
  }

  #feed(event: StoredEvent, more: boolean): void {
    const pipeline = this.#pipeline
    pipeline.feed(readValue(event.bytes, event.payloadStart, event.payloadEnd, event))
    // Without a further event nothing will change any more, so what is known by now comes out.
    if (pipeline.hasAggregates && ((this.#isCaughtUp && !more) || pipeline.isUsedUp)) pipeline.end()
    this.done = pipeline.isUsedUp
  }

  #guard(work: () => void): void {
    try {
      work()
    } catch (error) {
      const message = fatalMessage(error)
      if (message === undefined) throw error
      this.#sink.diagnose('error', message)
      this.done = true
    }
  }
}
