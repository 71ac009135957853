import { accessStep, elementsOf, notFoundIn, toStep } from './access.js'
import type { AggregatorTable } from './aggregator-table.js'
import type { BinaryOp, CaseBranch, Expr, Index, Item, Link, Member, MetaFunction, Part, Query } from './ast.js'
import type { CompiledQuery, Evaluate, Scope } from './compiled.js'
import type { PathStep } from './json-slice.js'
import { keyParts, metaApp, metaKey, metaTags, metaTime } from './meta-values.js'
import { mergeMeta, type Meta } from './metadata.js'
import { notABoolean, OPERATORS, type Operator } from './operators.js'
import type { Place, StaticScope } from './static-scope.js'
import { displayText } from './text.js'
import {
  arrayValue,
  booleanValue,
  decimalValue,
  failure,
  naturalValue,
  nullValue,
  objectValue,
  stringValue,
  timestampValue,
  typeName,
  withMeta,
  type Failure,
  type ObjectMember,
  type Result,
  type Value,
} from './value.js'
import { ZERO_STREAM_ID } from '../core/index.js'

/** Longer paths are walked step by step. */
const MAX_SCANNED_STEPS = 32

/** The outcome of an expression that waits for a sub-query; it is thrown away. */
const PENDING: Failure = failure('no-value', 'waiting for a sub-query')

const META: Readonly<Record<MetaFunction, (value: Value) => Value>> = {
  KEY: metaKey,
  TIME: metaTime,
  TAGS: metaTags,
  APP: metaApp,
}

/** Turns the expressions of one place into closures. */
export class ExprCompiler {
  readonly #scope: StaticScope
  readonly #aggregators: AggregatorTable | undefined
  readonly #compileQuery: (query: Query, scope: StaticScope) => CompiledQuery

  constructor(
    scope: StaticScope,
    aggregators: AggregatorTable | undefined,
    compileQuery: (query: Query, scope: StaticScope) => CompiledQuery,
  ) {
    this.#scope = scope
    this.#aggregators = aggregators
    this.#compileQuery = compileQuery
  }

  compile(expr: Expr): Evaluate {
    switch (expr.kind) {
      case 'natural':
        return constant(naturalValue(expr.value))
      case 'decimal':
        return constant(decimalValue(expr.value, undefined))
      case 'string':
        return constant(stringValue(expr.value))
      case 'constant':
        return constant(expr.value === null ? nullValue() : booleanValue(expr.value, undefined))
      case 'timeLiteral':
        return constant(timestampValue(expr.micros))
      case 'keyLiteral': {
        const key = arrayValue(keyParts(expr.key.lamport, expr.key.stream ?? ZERO_STREAM_ID), undefined)
        return constant(arrayValue([key], undefined))
      }
      case 'variable':
        return this.#variable(expr.name)
      case 'meta':
        return this.#meta(expr.fn, expr.name)
      case 'index':
        return this.#index(expr.head, expr.path)
      case 'interpolation':
        return this.interpolation(expr.parts)
      case 'object':
        return this.#object(expr.members)
      case 'array':
        return this.#array(expr.items)
      case 'cases':
        return this.#cases(expr.branches)
      case 'call':
        return this.#call(expr.name, expr.args)
      case 'not':
        return compileNot(this.compile(expr.operand))
      case 'chain':
        return this.#chain(expr.first, expr.rest)
      case 'aggregator':
        return this.#aggregator(expr)
      case 'subQuery':
        return compileSubQuery(this.#compileQuery(expr.query, this.#scope))
    }
  }

  #variable(name: string): Evaluate {
    const place = this.#scope.find(name)
    const unbound = failure('unbound-variable', `variable \`${name}\` is not bound`)
    return place === undefined ? () => unbound : readPlace(place, unbound)
  }

  #meta(fn: MetaFunction, name: string): Evaluate {
    const read = this.#variable(name)
    const describe = META[fn]
    return (scope) => {
      const value = read(scope)
      return value.kind === 'failure' ? value : describe(value)
    }
  }

  #index(head: Expr, path: readonly Index[]): Evaluate {
    const steps = path.map((index) => this.#step(index))
    const walked = walkSteps(this.compile(head), steps)
    const fixed = staticPath(path)
    const place = head.kind === 'variable' && head.name === '_' ? this.#scope.find('_') : undefined
    if (fixed === undefined || place?.up !== 0) return walked
    return this.#scanned(fixed, walked)
  }

  /** Reads payloads that are still text in one pass over all paths of the query. */
  #scanned(path: readonly PathStep[], walked: Evaluate): Evaluate {
    const { paths } = this.#scope
    const slot = paths.add(path)
    let notThere: Failure | undefined
    return (scope) => {
      const { input } = scope
      if (input?.kind !== 'json') return walked(scope)
      const found = paths.read(slot, input.data, input.meta)
      return found ?? (notThere ??= notFoundIn(renderPath(path.slice(0, -1)), path[path.length - 1] ?? ''))
    }
  }

  #step(index: Index): Evaluate {
    switch (index.kind) {
      case 'name':
        return constant(stringValue(index.name))
      case 'natural':
        return constant(naturalValue(index.value))
      case 'computed':
        return this.compile(index.expr)
    }
  }

  interpolation(parts: readonly Part[]): Evaluate {
    const pieces = parts.map((part) => (typeof part === 'string' ? constant(stringValue(part)) : this.compile(part)))
    return (scope) => {
      let text = ''
      let meta: Meta | undefined
      for (const piece of pieces) {
        const value = piece(scope)
        if (value.kind === 'failure') return value
        const more = displayText(value)
        const tooLarge = scope.chargeText(more.length, text.length + more.length)
        if (tooLarge !== undefined) return tooLarge
        text += more
        meta = mergeMeta(meta, value.meta)
      }
      return stringValue(text, meta)
    }
  }

  #object(members: readonly Member[]): Evaluate {
    const compiled = members.map(({ key, value }) => ({ key: this.#step(key), value: this.compile(value) }))
    return (scope) => {
      const found = new Map<string | bigint, ObjectMember>()
      let meta: Meta | undefined
      for (const member of compiled) {
        const key = member.key(scope)
        if (key.kind === 'failure') return key
        if (key.kind !== 'string' && key.kind !== 'natural') {
          return failure('key-type', `a value of type ${typeName(key)} cannot be a key`)
        }
        const value = member.value(scope)
        if (value.kind === 'failure') return value
        const name = typeof key.data === 'string' ? key.data : BigInt(key.data)
        found.set(name, { key: name, value })
        meta = mergeMeta(mergeMeta(meta, key.meta), value.meta)
      }
      return scope.charge(found.size + 1) ?? objectValue([...found.values()], meta)
    }
  }

  #array(items: readonly Item[]): Evaluate {
    const compiled = items.map(({ spread, expr }) => ({ spread, evaluate: this.compile(expr) }))
    return (scope) => {
      const values: Value[] = []
      let meta: Meta | undefined
      for (const { spread, evaluate } of compiled) {
        const value = evaluate(scope)
        if (value.kind === 'failure') return value
        meta = mergeMeta(meta, value.meta)
        const added = spread ? appendElements(values, value, scope) : (values.push(value), undefined)
        if (added !== undefined) return added
      }
      return scope.charge(values.length + 1) ?? arrayValue(values, meta)
    }
  }

  #cases(branches: readonly CaseBranch[]): Evaluate {
    const compiled = branches.map(({ condition, result }) => ({
      condition: this.compile(condition),
      result: this.compile(result),
    }))
    const noCase = failure('no-case', 'no case matched')
    return (scope) => {
      for (const { condition, result } of compiled) {
        const outcome = condition(scope)
        if (outcome.kind === 'boolean' && outcome.data) return result(scope)
      }
      return noCase
    }
  }

  #call(name: string, args: readonly Expr[]): Evaluate {
    if (name !== 'IsDefined') {
      const unknown = failure('undefined-function', `undefined function \`${name}\``)
      return () => unknown
    }
    const [arg, ...others] = args.map((each) => this.compile(each))
    if (arg === undefined || others.length > 0) {
      const wrong = failure('wrong-arity', `IsDefined takes 1 argument, not ${String(args.length)}`)
      return () => wrong
    }
    return (scope) => booleanValue(arg(scope).kind !== 'failure', undefined)
  }

  #chain(first: Expr, rest: readonly Link[]): Evaluate {
    const head = this.compile(first)
    const links: { readonly op: BinaryOp; readonly operand: Evaluate }[] = []
    // A plain loop: chains inside chains go deep, and callbacks would cost stack.
    for (const { op, operand } of rest) links.push({ op, operand: this.compile(operand) })
    const [only] = links
    if (only !== undefined && links.length === 1) return compilePair(head, only.op, only.operand)
    return only?.op === '??' ? firstDefined([head, ...links.map((link) => link.operand)]) : foldLinks(head, links)
  }

  #aggregator(expr: Expr & { readonly kind: 'aggregator' }): Evaluate {
    if (this.#aggregators === undefined) {
      const misplaced = failure('aggregator-placement', `${expr.op} stands outside of AGGREGATE`)
      return () => misplaced
    }
    const number = this.#aggregators.add(expr.op, expr.arg)
    const noValue = failure('no-value', `${expr.op} has no value`)
    return (scope) => scope.aggregates[number] ?? noValue
  }
}

function constant(value: Value): Evaluate {
  return () => value
}

function readPlace({ up, slot }: Place, unbound: Failure): Evaluate {
  if (up === 0 && slot === 'input') return (scope) => scope.input ?? unbound
  if (up === 0) return (scope) => scope.slots[Number(slot)] ?? unbound
  return (scope) => {
    let from: Scope | undefined = scope
    for (let step = 0; step < up; step++) from = from?.parent
    return (slot === 'input' ? from?.input : from?.slots[slot]) ?? unbound
  }
}

/** The path as plain steps if all of it is written down. */
function staticPath(path: readonly Index[]): PathStep[] | undefined {
  if (path.length > MAX_SCANNED_STEPS) return undefined
  const steps: PathStep[] = []
  for (const index of path) {
    if (index.kind === 'computed') return undefined
    steps.push(index.kind === 'name' ? index.name : Number(index.value))
  }
  return steps
}

/** The input and a path into it as one would write it. */
function renderPath(path: readonly PathStep[]): string {
  return `\`_${path.map((step) => (typeof step === 'number' ? `[${String(step)}]` : `.${step.slice(0, 100)}`)).join('')}\``
}

function walkSteps(head: Evaluate, steps: readonly Evaluate[]): Evaluate {
  return (scope) => {
    let value = head(scope)
    const meta = value.kind === 'failure' ? undefined : value.meta
    for (const evaluate of steps) {
      if (value.kind === 'failure') return value
      const index = evaluate(scope)
      if (index.kind === 'failure') return index
      const step = toStep(index)
      if (typeof step === 'object') return step
      value = accessStep(value, step, scope)
    }
    return value.kind === 'failure' ? value : withMeta(value, meta)
  }
}

function appendElements(values: Value[], value: Value, scope: Scope): Failure | undefined {
  const elements = elementsOf(value, scope)
  if ('kind' in elements) return elements
  const tooLarge = scope.charge(elements.length)
  if (tooLarge !== undefined) return tooLarge
  for (const element of elements) values.push(withMeta(element, value.meta))
  return undefined
}

function compileNot(operand: Evaluate): Evaluate {
  return (scope) => {
    const value = operand(scope)
    if (value.kind === 'failure') return value
    return value.kind === 'boolean' ? booleanValue(!value.data, value.meta) : notABoolean('!', value)
  }
}

function compilePair(left: Evaluate, op: BinaryOp, right: Evaluate): Evaluate {
  if (op === '??') {
    return (scope) => {
      const value = left(scope)
      return value.kind === 'failure' ? right(scope) : value
    }
  }
  const combine = OPERATORS[op]
  return (scope) => {
    const a = left(scope)
    if (a.kind === 'failure') return a
    const b = right(scope)
    return b.kind === 'failure' ? b : combine(a, b, scope)
  }
}

function firstDefined(operands: readonly Evaluate[]): Evaluate {
  return (scope) => {
    let outcome: Result = PENDING
    for (const operand of operands) {
      outcome = operand(scope)
      if (outcome.kind !== 'failure') return outcome
    }
    return outcome
  }
}

function foldLinks(head: Evaluate, links: readonly { readonly op: BinaryOp; readonly operand: Evaluate }[]): Evaluate {
  const steps = links.map(({ op, operand }): { readonly combine: Operator; readonly operand: Evaluate } => ({
    combine: op === '??' ? (left) => left : OPERATORS[op],
    operand,
  }))
  return (scope) => {
    let value = head(scope)
    for (const { combine, operand } of steps) {
      if (value.kind === 'failure') return value
      const next = operand(scope)
      if (next.kind === 'failure') return next
      value = combine(value, next, scope)
    }
    return value
  }
}

function compileSubQuery(query: CompiledQuery): Evaluate {
  return (scope) => {
    const result = scope.results.get(query.id)
    if (result !== undefined) return result
    scope.pending ??= query
    return PENDING
  }
}
