import {
  AbortedError,
  type EventBatch,
  type EventOrder,
  type EventReader,
  type NodeId,
  type OffsetMap,
  type TagSelection,
} from '../core/index.js'
import { elementsOf } from './access.js'
import type { TagExpr } from './ast.js'
import type { CompiledItem, CompiledQuery, DynamicTags, Evaluate, World } from './compiled.js'
import { Detacher } from './detach.js'
import { FatalFault, tooManyValues } from './fault.js'
import { readValue } from './json-slice.js'
import { Pacer } from './pacer.js'
import { Pipeline, type Progress, type Sink } from './pipeline.js'
import { RowSink } from './row-sink.js'
import type { Row } from './rows.js'
import { RunScope } from './scope.js'
import { mergeMeta, type Meta } from './metadata.js'
import { arrayValue, failure, withMeta, type Failure, type Result, type Value } from './value.js'

/** What a one-shot run reads from and within which bounds. */
export interface RunInput {
  readonly reader: EventReader
  readonly order: EventOrder
  /** Exclusive. */
  readonly lowerBound: OffsetMap
  /** Inclusive. */
  readonly upperBound: OffsetMap
  readonly nodeId: NodeId
  readonly signal: AbortSignal
}

/** How a run ended: only a complete one is followed by the offsets line. */
export interface RunOutcome {
  readonly complete: boolean
}

/** Turns a tag expression without interpolations into what to read; a failure when its ranges differ. */
export type Selector = (tags: TagExpr) => TagSelection | Failure

/** Rows that are handed on together, if they come in one turn. */
const ROWS_AT_ONCE = 256

/** Memory that the results of one sub-query may take; a million plain values take about as much. */
const MAX_SUB_QUERY_BYTES = 256 * 1024 * 1024

/** One run of a query: reads, feeds the operations, runs sub-queries, and hands out rows. */
export class QueryRun {
  readonly #query: CompiledQuery
  readonly #world: World
  readonly #select: Selector
  readonly #input: RunInput
  readonly #pacer: Pacer
  readonly #sink = new RowSink()

  constructor(query: CompiledQuery, world: World, select: Selector, input: RunInput) {
    this.#query = query
    this.#world = world
    this.#select = select
    this.#input = input
    this.#pacer = new Pacer(input.signal)
  }

  async *rows(): AsyncGenerator<Row[], RunOutcome> {
    let complete = false
    try {
      complete = yield* this.#rows()
    } catch (error) {
      if (this.#input.signal.aborted || error instanceof AbortedError) return { complete: false }
      const message = fatalMessage(error)
      if (message === undefined) throw error
      this.#sink.diagnose('error', message)
    }
    if (this.#sink.size > 0) yield this.#sink.take()
    return { complete }
  }

  /** @returns whether everything was read and came out */
  async *#rows(): AsyncGenerator<Row[], boolean> {
    const { source, preferredOrder } = this.#query
    const order = source.kind === 'events' ? (preferredOrder ?? this.#input.order) : undefined
    const pipeline = new Pipeline(this.#query, new RunScope(this.#world, undefined), order, this.#sink)
    const outside = new RunScope(this.#world, undefined)
    if (source.kind === 'array') {
      const done = yield* this.#feedArray(source.items, outside, pipeline)
      if (!done) return false
    } else {
      const selection = await this.#selection(source.tags, source.dynamic, outside)
      if ('failure' in selection) {
        this.#sink.diagnose('error', selection.message)
        return false
      }
      yield* this.#feedEvents(selection, order ?? 'asc', pipeline)
    }
    yield* this.#settle(pipeline, pipeline.end())
    yield* this.#handOn()
    return true
  }

  async *#feedEvents(selection: TagSelection, order: EventOrder, pipeline: Pipeline): AsyncGenerator<Row[], void> {
    for await (const batch of this.#read(selection, order)) {
      for (let at = 0; at < batch.length; at++) {
        const progress = pipeline.feed(eventValue(batch, at))
        if (progress !== 'idle') yield* this.#settle(pipeline, progress)
        if (this.#sink.isUnfinished || this.#sink.size >= ROWS_AT_ONCE) yield* this.#handOn()
        if (pipeline.stopped) return
        if (this.#isTurnOver(pipeline)) yield* this.#endTurn()
      }
      this.#pacer.check()
    }
  }

  /** @returns whether all elements had a value */
  async *#feedArray(
    items: readonly CompiledItem[],
    outside: RunScope,
    pipeline: Pipeline,
  ): AsyncGenerator<Row[], boolean> {
    for (const item of items) {
      const values = await this.#itemValues(item, outside)
      if ('failure' in values) {
        this.#sink.failure(values)
        return false
      }
      for (const value of values) {
        const progress = pipeline.feed(value)
        if (progress !== 'idle') yield* this.#settle(pipeline, progress)
        if (this.#sink.isUnfinished) yield* this.#handOn()
        if (pipeline.stopped) return true
        if (this.#isTurnOver(pipeline)) yield* this.#endTurn()
      }
    }
    return true
  }

  /** Does what is left to do for what was fed. */
  async *#settle(pipeline: Pipeline, from: Progress): AsyncGenerator<Row[], void> {
    let progress = from
    while (progress !== 'idle') {
      if (progress !== 'paused') {
        const { scope } = pipeline
        scope.results.set(progress.id, await this.#subQuery(progress, scope))
      } else if (this.#sink.isUnfinished) yield* this.#handOn()
      else if (this.#pacer.isOver()) yield* this.#endTurn()
      pipeline.work = 0
      progress = pipeline.advance(true)
    }
  }

  async *#endTurn(): AsyncGenerator<Row[], void> {
    yield* this.#handOn()
    await this.#pacer.pause()
  }

  /** The rows so far; a long one is written to its end, in turns. */
  async *#handOn(): AsyncGenerator<Row[], void> {
    while (!this.#sink.advance()) if (this.#pacer.isOver()) await this.#pacer.pause()
    if (this.#sink.size > 0) yield this.#sink.take()
  }

  #isTurnOver(pipeline: Pipeline): boolean {
    if (pipeline.work < 100) return false
    pipeline.work = 0
    return this.#pacer.isOver()
  }

  #read(selection: TagSelection, order: EventOrder): AsyncIterable<EventBatch> {
    const { reader, lowerBound, upperBound, signal } = this.#input
    return reader.read({ selection, order, lowerBound, upperBound, signal })
  }

  async #selection(
    tags: TagExpr,
    dynamic: DynamicTags | undefined,
    outside: RunScope,
  ): Promise<TagSelection | Failure> {
    if (dynamic === undefined) return this.#select(tags)
    const values: Value[] = []
    for (const evaluate of dynamic.evaluates) {
      const value = await this.#evaluate(evaluate, outside)
      if (value.kind === 'failure') return value
      values.push(value)
    }
    const filled = dynamic.fill(values)
    return filled.kind === 'failure' ? filled : this.#select(filled)
  }

  /** Evaluates an expression that stands outside of the operations, with its sub-queries. */
  async #evaluate(evaluate: Evaluate, scope: RunScope): Promise<Result> {
    for (;;) {
      if (this.#pacer.isOver()) await this.#pacer.pause()
      scope.begin()
      const result = evaluate(scope)
      if (scope.pending === undefined) {
        scope.results.clear()
        return result
      }
      const { pending } = scope
      scope.results.set(pending.id, await this.#subQuery(pending, scope))
    }
  }

  /** The values that an element of a source array stands for. */
  async #itemValues(item: CompiledItem, outside: RunScope): Promise<readonly Value[] | Failure> {
    const result = await this.#evaluate(item.evaluate, outside)
    if (result.kind === 'failure') return result
    if (!item.spread) return [result]
    const elements = elementsOf(result, outside)
    if ('kind' in elements || item.keepsMeta) return elements
    return elements.map((element) => withMeta(element, result.meta))
  }

  /** All results as an array whose elements keep their own metadata; the first diagnostic is the outcome instead. */
  async #subQuery(query: CompiledQuery, outer: RunScope): Promise<Result> {
    this.#pacer.check()
    const sink = new ValueSink(this.#world.limits.maxValues)
    // The surroundings of the query see what the expression sees; their own sub-queries must not mix with its.
    const outside = outer.fork()
    const { source } = query
    const order = source.kind === 'array' ? undefined : query.preferredOrder === 'desc' ? 'desc' : 'asc'
    const pipeline = new Pipeline(query, new RunScope(this.#world, outer), order, sink)
    if (source.kind === 'array') await this.#feedSubArray(source.items, outside, pipeline, sink)
    else {
      const selection = await this.#selection(source.tags, source.dynamic, outside)
      if ('failure' in selection) return selection
      await this.#feedSubEvents(selection, order ?? 'asc', pipeline, sink)
    }
    if (sink.failed === undefined) await this.#settleSub(pipeline, pipeline.end(), sink)
    return sink.failed ?? sink.result()
  }

  async #feedSubEvents(selection: TagSelection, order: EventOrder, pipeline: Pipeline, sink: ValueSink): Promise<void> {
    for await (const batch of this.#read(selection, order)) {
      for (let at = 0; at < batch.length; at++) {
        const progress = pipeline.feed(eventValue(batch, at))
        if (progress !== 'idle') await this.#settleSub(pipeline, progress, sink)
        if (pipeline.stopped || sink.failed !== undefined) return
        if (this.#isTurnOver(pipeline)) await this.#pacer.pause()
      }
      if (this.#pacer.isOver()) await this.#pacer.pause()
    }
  }

  async #feedSubArray(
    items: readonly CompiledItem[],
    outside: RunScope,
    pipeline: Pipeline,
    sink: ValueSink,
  ): Promise<void> {
    for (const item of items) {
      const values = await this.#itemValues(item, outside)
      if ('failure' in values) {
        sink.failure(values)
        return
      }
      for (const value of values) {
        const progress = pipeline.feed(value)
        if (progress !== 'idle') await this.#settleSub(pipeline, progress, sink)
        if (pipeline.stopped || sink.failed !== undefined) return
        if (this.#isTurnOver(pipeline)) await this.#pacer.pause()
      }
    }
  }

  async #settleSub(pipeline: Pipeline, from: Progress, sink: ValueSink): Promise<void> {
    let progress = from
    while (progress !== 'idle' && sink.failed === undefined) {
      if (progress !== 'paused') {
        const { scope } = pipeline
        scope.results.set(progress.id, await this.#subQuery(progress, scope))
      }
      if (this.#pacer.isOver()) await this.#pacer.pause()
      pipeline.work = 0
      progress = pipeline.advance(true)
    }
  }
}

/** Collects the results of a sub-query. */
class ValueSink implements Sink {
  readonly isUnfinished = false
  failed: Failure | undefined
  readonly #values: Value[] = []
  readonly #maxValues: number
  readonly #detacher = new Detacher()

  constructor(maxValues: number) {
    this.#maxValues = maxValues
  }

  value(value: Value): void {
    if (this.#values.length >= this.#maxValues) tooManyValues(this.#maxValues)
    this.#values.push(this.#detacher.detach(value))
    if (this.#detacher.bytes > MAX_SUB_QUERY_BYTES) {
      throw new FatalFault('the results of a sub-query take too much memory')
    }
  }

  failure(failure: Failure): void {
    this.failed ??= failure
  }

  result(): Value {
    let meta: Meta | undefined
    for (const value of this.#values) meta = mergeMeta(meta, value.meta)
    return arrayValue(this.#values, meta)
  }
}

/** The payload of an event as `_`. */
function eventValue(batch: EventBatch, at: number): Value {
  const event = batch.event(at)
  return readValue(event.bytes, event.payloadStart, event.payloadEnd, event)
}

/** The message of an error that ends the query with a diagnostic, not the run with an error. */
export function fatalMessage(error: unknown): string | undefined {
  if (error instanceof FatalFault) return error.message
  return error instanceof RangeError ? 'the query is too complex to be evaluated' : undefined
}

/** A failure for an outcome of the selector. */
export function rangesDiffer(message: string): Failure {
  return failure('ranges-differ', message)
}
