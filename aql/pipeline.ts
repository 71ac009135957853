import type { EventOrder } from '../core/index.js'
import { elementsOf } from './access.js'
import { createAccumulator, type Accumulator } from './accumulators.js'
import type { CompiledAggregate, CompiledItem, CompiledOperation, CompiledQuery, Evaluate } from './compiled.js'
import { FatalFault } from './fault.js'
import { notABoolean } from './operators.js'
import type { RunScope } from './scope.js'
import { jsonText } from './text.js'
import { withMeta, type Failure, type Result, type Value } from './value.js'

/** Takes what comes out at the end of the operations, in order. */
export interface Sink {
  /** Whether it has to be given time before it takes more. */
  readonly isUnfinished: boolean
  value(value: Value, anti: boolean): void
  failure(failure: Failure): void
}

/** Something that still has to go through the operations from `stage` on. */
type Frame =
  | {
      readonly kind: 'values'
      readonly stage: number
      readonly values: readonly Value[]
      readonly anti: boolean
      next: number
    }
  | {
      readonly kind: 'select'
      readonly stage: number
      readonly items: readonly CompiledItem[]
      readonly weight: number
      readonly input: Value
      readonly anti: boolean
      next: number
    }
  /** An operation to be done again, now that an outcome of a sub-query is there. */
  | { readonly kind: 'again'; readonly stage: number; readonly input: Value; readonly anti: boolean }

/** What an operation remembers between inputs. */
interface AggregateState {
  readonly accumulators: readonly Accumulator[]
  /** What was put out last, for subscriptions. */
  previous: { readonly value: Value; readonly json: string } | undefined
  previousFailure: string | undefined
}

/** How reading goes on after {@link Pipeline.advance}. */
export type Progress =
  /** Everything fed has come out. */
  | 'idle'
  /** Enough was done at a stretch; there is more. */
  | 'paused'
  /** This sub-query has to be run first. */
  | CompiledQuery

/** Work after which {@link Pipeline.advance} may be asked to pause, in nodes of the syntax tree; some microseconds each. */
const WORK_BEFORE_PAUSE = 1000

/**
 * The operations of a query at work: each input runs through all of them before the next one is read. Keeps its own
 * stack, so that any number of outputs of one input takes constant stack and can be interrupted.
 */
export class Pipeline {
  readonly scope: RunScope
  /** No further input can change anything. */
  stopped = false
  /** Done since it was last set to 0. */
  work = 0
  readonly #operations: readonly CompiledOperation[]
  readonly #sink: Sink
  readonly #live: boolean
  readonly #order: EventOrder | undefined
  readonly #frames: Frame[] = []
  readonly #remaining = new Map<number, number>()
  readonly #aggregates = new Map<number, AggregateState>()
  /** The next stage to be told that the input has ended. */
  #ending = Infinity
  /** The last aggregation without aggregators; it needs no input, so that even a failure before it is enough. */
  #lastConstant = -1

  /**
   * @param order in which inputs come, if they are events in a known order
   * @param live for subscriptions: the input ends several times, results are taken back when they change, nothing pauses
   */
  constructor(query: CompiledQuery, scope: RunScope, order: EventOrder | undefined, sink: Sink, live = false) {
    this.#live = live
    this.scope = scope
    this.#operations = query.operations
    this.#order = order
    this.#sink = sink
    for (const [stage, operation] of query.operations.entries()) {
      if (operation.kind === 'limit') this.#remaining.set(stage, operation.count)
      if (operation.kind === 'aggregate') {
        const accumulators = operation.aggregators.map(({ op }) => createAccumulator(op))
        this.#aggregates.set(stage, { accumulators, previous: undefined, previousFailure: undefined })
        if (accumulators.length === 0) this.#lastConstant = stage
      }
    }
  }

  get hasAggregates(): boolean {
    return this.#aggregates.size > 0
  }

  /** Whether a `LIMIT` is used up. */
  get isUsedUp(): boolean {
    for (const left of this.#remaining.values()) if (left <= 0) return true
    return false
  }

  /** Puts an input in front of the first operation and does what can be done at once. Only when idle. */
  feed(input: Value): Progress {
    const pending = this.#run(0, input, false)
    return pending ?? (this.#frames.length === 0 ? 'idle' : this.advance(!this.#live))
  }

  /** Tells the operations that there is no more input (for now). Only when idle. */
  end(): Progress {
    this.#ending = 0
    return this.advance(!this.#live)
  }

  /** @param mayPause whether to return before everything is done */
  advance(mayPause: boolean): Progress {
    for (;;) {
      if (mayPause && this.work >= WORK_BEFORE_PAUSE) return 'paused'
      const frame = this.#frames.at(-1)
      const pending = frame === undefined ? this.#nextEnd() : this.#resume(frame)
      if (pending === 'idle') return pending
      if (pending !== undefined) return pending
    }
  }

  /** @returns a sub-query that has to be run first */
  #resume(frame: Frame): CompiledQuery | undefined {
    switch (frame.kind) {
      case 'again':
        this.#frames.pop()
        return this.#run(frame.stage, frame.input, frame.anti)
      case 'values': {
        const value = frame.values[frame.next++]
        if (value !== undefined) return this.#run(frame.stage, value, frame.anti)
        this.#frames.pop()
        return undefined
      }
      case 'select': {
        const item = frame.items[frame.next]
        if (item === undefined) {
          this.#frames.pop()
          return undefined
        }
        return this.#selectItem(frame, item)
      }
    }
  }

  #selectItem(frame: Frame & { readonly kind: 'select' }, item: CompiledItem): CompiledQuery | undefined {
    const result = this.#evaluate(item.evaluate, frame.input, frame.weight / frame.items.length)
    if (this.scope.pending !== undefined) return this.scope.pending
    frame.next += 1
    if (result.kind === 'failure') this.#fail(frame.stage - 1, result)
    else if (!item.spread) return this.#run(frame.stage, result, frame.anti)
    else {
      const elements = elementsOf(result, this.scope)
      if ('kind' in elements) this.#fail(frame.stage - 1, elements)
      else {
        const values = item.keepsMeta ? elements : elements.map((element) => withMeta(element, result.meta))
        this.#frames.push({ kind: 'values', stage: frame.stage, values, anti: frame.anti, next: 0 })
      }
    }
    return undefined
  }

  /** The result; `scope.pending` says that it is none yet. */
  #evaluate(evaluate: Evaluate, input: Value | undefined, weight: number): Result {
    const { scope } = this
    scope.input = input
    scope.begin()
    const result = evaluate(scope)
    this.work += weight + scope.used
    if (scope.pending === undefined && scope.results.size > 0) scope.results.clear()
    return result
  }

  /** Runs a value through the operations from `from` on. @returns a sub-query that has to be run first */
  #run(from: number, value: Value, anti: boolean): CompiledQuery | undefined {
    let input = value
    const { length } = this.#operations
    for (let stage = from; stage < length; stage++) {
      const next = this.#apply(stage, input, anti)
      if (this.scope.pending !== undefined) {
        this.#frames.push({ kind: 'again', stage, input, anti })
        return this.scope.pending
      }
      if (next === undefined) return undefined
      input = next
    }
    this.#sink.value(input, anti)
    this.work += this.#sink.isUnfinished ? WORK_BEFORE_PAUSE : 1
    return undefined
  }

  /** One operation on one input. @returns the input of the next operation, if there is one at once */
  #apply(stage: number, input: Value, anti: boolean): Value | undefined {
    const operation = this.#operations[stage]
    this.scope.pending = undefined
    switch (operation?.kind) {
      case 'filter':
        return this.#filter(operation, stage, input)
      case 'let':
        return this.#bind(operation, stage, input)
      case 'replace':
        return this.#orFail(stage, this.#evaluate(operation.evaluate, input, operation.weight))
      case 'select':
        return this.#select(operation, stage, input, anti)
      case 'limit':
        return this.#limit(stage, input, anti)
      case 'aggregate':
        this.#aggregate(operation, stage, input, anti)
        return undefined
      case undefined:
        return undefined
    }
  }

  #orFail(stage: number, result: Result): Value | undefined {
    if (result.kind !== 'failure') return result
    if (this.scope.pending === undefined) this.#fail(stage, result)
    return undefined
  }

  #fail(stage: number, failure: Failure): void {
    this.#sink.failure(failure)
    if (stage < this.#lastConstant) this.stopped = true
  }

  #filter(operation: CompiledOperation & { readonly kind: 'filter' }, stage: number, input: Value): Value | undefined {
    const result = this.#orFail(stage, this.#evaluate(operation.evaluate, input, operation.weight))
    if (result === undefined || this.scope.pending !== undefined) return undefined
    if (result.kind === 'boolean') return result.data ? input : undefined
    this.#fail(stage, notABoolean('FILTER', result))
    return undefined
  }

  #bind(operation: CompiledOperation & { readonly kind: 'let' }, stage: number, input: Value): Value | undefined {
    const result = this.#orFail(stage, this.#evaluate(operation.evaluate, input, operation.weight))
    if (result === undefined || this.scope.pending !== undefined) return undefined
    this.scope.bind(operation.slot, result)
    return input
  }

  #select(
    operation: CompiledOperation & { readonly kind: 'select' },
    stage: number,
    input: Value,
    anti: boolean,
  ): Value | undefined {
    const { items, weight } = operation
    const [only] = items
    if (only !== undefined && items.length === 1 && !only.spread) {
      return this.#orFail(stage, this.#evaluate(only.evaluate, input, weight))
    }
    this.#frames.push({ kind: 'select', stage: stage + 1, items, weight, input, anti, next: 0 })
    return undefined
  }

  #limit(stage: number, input: Value, anti: boolean): Value | undefined {
    const remaining = this.#remaining.get(stage) ?? 0
    if (remaining <= 0) {
      if (anti) throw new FatalFault('a used-up LIMIT cannot take back a value')
      return undefined
    }
    const left = anti ? remaining + 1 : remaining - 1
    this.#remaining.set(stage, left)
    if (left === 0) this.stopped = true
    return input
  }

  /** All arguments come first: one of them may have to wait for a sub-query, and then nothing may have been counted. */
  #aggregate(operation: CompiledAggregate, stage: number, input: Value, anti: boolean): void {
    const accumulators = this.#aggregates.get(stage)?.accumulators ?? []
    const { aggregators, weight } = operation
    const { scope } = this
    if (aggregators.length === 1 && aggregators[0] !== undefined) {
      const result = this.#evaluate(aggregators[0].evaluate, input, weight)
      if (scope.pending !== undefined) return
      this.#accumulate(stage, accumulators[0], result, anti)
    } else {
      scope.input = input
      scope.begin()
      const results = aggregators.map(({ evaluate }) => evaluate(scope))
      this.work += weight + scope.used
      if (scope.pending !== undefined) return
      if (scope.results.size > 0) scope.results.clear()
      for (const [nth, result] of results.entries()) this.#accumulate(stage, accumulators[nth], result, anti)
    }
    const inOrder = this.#order !== undefined && this.#order === operation.preferredOrder
    if (aggregators.length === 0 || (inOrder && accumulators.every(({ settled }) => settled))) this.stopped = true
  }

  #accumulate(stage: number, accumulator: Accumulator | undefined, result: Result, anti: boolean): void {
    if (result.kind === 'failure') this.#fail(stage, result)
    else accumulator?.add(result, anti)
  }

  /** Ends the input of the next aggregation, when there is one. */
  #nextEnd(): CompiledQuery | 'idle' | undefined {
    while (this.#ending < this.#operations.length) {
      const stage = this.#ending
      const operation = this.#operations[stage]
      const state = this.#aggregates.get(stage)
      if (operation?.kind === 'aggregate' && state !== undefined) return this.#endAggregate(operation, state, stage)
      this.#ending += 1
    }
    this.#ending = Infinity
    return 'idle'
  }

  #endAggregate(operation: CompiledAggregate, state: AggregateState, stage: number): CompiledQuery | undefined {
    this.scope.aggregates = state.accumulators.map((accumulator) => accumulator.result())
    const result = this.#evaluate(operation.evaluate, undefined, operation.weight)
    if (this.scope.pending !== undefined) return this.scope.pending
    this.#ending = stage + 1
    if (result.kind === 'failure') {
      // Said once, not again with every further event.
      if (result.message !== state.previousFailure) this.#sink.failure(result)
      state.previousFailure = result.message
      return undefined
    }
    state.previousFailure = undefined
    const before = state.previous
    if (this.#live) {
      const json = jsonText(result) ?? ''
      if (before?.json === json) return undefined
      state.previous = { value: result, json }
    }
    this.#frames.push({ kind: 'values', stage: stage + 1, values: [result], anti: false, next: 0 })
    if (before !== undefined) {
      this.#frames.push({ kind: 'values', stage: stage + 1, values: [before.value], anti: true, next: 0 })
    }
    return undefined
  }
}
