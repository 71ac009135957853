import { ZERO_STREAM_ID, type AppId, type KeyBound, type TagSelection } from '../core/index.js'
import type { DurationBound, EventKeyBound, RangeOp, TagAtom, TagExpr, TimestampBound } from './ast.js'
import { durationMicros } from './literals.js'

/** What the names in a tag expression stand for. */
export interface SelectionContext {
  /** Replaces `appId(me)`. */
  readonly appId: AppId
  /** What durations count back from, µs. */
  readonly nowMicros: bigint
}

/** A half-open range; an absent end is unbounded. */
export interface Range<T> {
  readonly from: T | undefined
  readonly to: T | undefined
}

/** A place in the order of event keys, exact. */
export interface KeyPoint {
  readonly lamport: bigint
  readonly nodeId: string
  readonly number: bigint
}

/**
 * The selection that matches the same events. Interpolations must have been replaced by tags. The cost is that of
 * walking the expression; no normal form is built.
 */
export function toSelection(expr: TagExpr, context: SelectionContext): TagSelection {
  if (expr.kind === 'or') return joinOr(expr.terms.map((term) => toSelection(term, context)))
  if (expr.kind === 'and') return joinAnd(expr.terms.map((term) => toSelection(term, context)))
  return atomSelection(expr, context)
}

function atomSelection(atom: TagAtom, context: SelectionContext): TagSelection {
  switch (atom.kind) {
    case 'tag':
      return { kind: 'tags', anyOf: new Set([atom.tag]) }
    case 'allEvents':
      return { kind: 'all' }
    case 'isLocal':
      return { kind: 'local' }
    case 'appId':
      return { kind: 'appId', appId: resolveAppId(atom.appId, context) }
    case 'time': {
      const { from, to } = timeRange(atom.op, atom.bound, context.nowMicros)
      return {
        kind: 'time',
        from: from === undefined ? -Infinity : Number(from),
        to: to === undefined ? Infinity : Number(to),
      }
    }
    case 'key': {
      const { from, to } = keyRange(atom.op, atom.bound)
      return { kind: 'key', from: toKeyBound(from), to: toKeyBound(to) }
    }
    case 'interpolation':
      return { kind: 'none' }
  }
}

export function resolveAppId(appId: AppId, context: SelectionContext): AppId {
  return appId === 'me' ? context.appId : appId
}

/** All single tags of a disjunction share one set, so that a long chain costs one look-up per tag of an event. */
function joinOr(terms: readonly TagSelection[]): TagSelection {
  const tags = new Set<string>()
  const rest: TagSelection[] = []
  for (const term of terms) {
    if (term.kind === 'all') return term
    if (term.kind === 'tags') for (const tag of term.anyOf) tags.add(tag)
    else if (term.kind !== 'none') rest.push(term)
  }
  if (tags.size > 0) rest.unshift({ kind: 'tags', anyOf: tags })
  const [only] = rest
  if (only === undefined) return { kind: 'none' }
  return rest.length === 1 ? only : { kind: 'or', terms: rest }
}

function joinAnd(terms: readonly TagSelection[]): TagSelection {
  if (terms.some((term) => term.kind === 'none')) return { kind: 'none' }
  const rest = terms.filter((term) => term.kind !== 'all')
  const [only] = rest
  if (only === undefined) return { kind: 'all' }
  return rest.length === 1 ? only : { kind: 'and', terms: rest }
}

/** The half-open range of µs that a comparison means. */
export function timeRange(op: RangeOp, bound: TimestampBound | DurationBound, nowMicros: bigint): Range<bigint> {
  const micros = bound.kind === 'timestamp' ? bound.micros : nowMicros - durationMicros(bound.amount, bound.unit)
  switch (op) {
    case '>=':
      return { from: micros, to: undefined }
    case '>':
      return { from: micros + 1n, to: undefined }
    case '<':
      return { from: undefined, to: micros }
    case '<=':
      return { from: undefined, to: micros + 1n }
  }
}

/**
 * The half-open range of keys that a comparison means. A key without a stream has the smallest stream, so `KEY > 12`
 * includes every event of lamport 12.
 */
export function keyRange(op: RangeOp, bound: EventKeyBound): Range<KeyPoint> {
  const stream = bound.stream ?? ZERO_STREAM_ID
  const dash = stream.lastIndexOf('-')
  const nodeId = stream.slice(0, dash)
  const number = BigInt(stream.slice(dash + 1))
  const here: KeyPoint = { lamport: bound.lamport, nodeId, number }
  const after: KeyPoint = { ...here, number: number + 1n }
  switch (op) {
    case '>=':
      return { from: here, to: undefined }
    case '>':
      return { from: after, to: undefined }
    case '<':
      return { from: undefined, to: here }
    case '<=':
      return { from: undefined, to: after }
  }
}

/** No stream has a greater number, and stream ids are not made with one. */
const MAX_STREAM_NUMBER = BigInt(Number.MAX_SAFE_INTEGER)

function toKeyBound(point: KeyPoint | undefined): KeyBound | undefined {
  if (point === undefined) return undefined
  const number = point.number < MAX_STREAM_NUMBER ? point.number : MAX_STREAM_NUMBER
  return { lamport: Number(point.lamport), stream: `${point.nodeId}-${String(number)}` }
}

export function compareKeyPoints(a: KeyPoint, b: KeyPoint): number {
  if (a.lamport !== b.lamport) return a.lamport < b.lamport ? -1 : 1
  if (a.nodeId !== b.nodeId) return a.nodeId < b.nodeId ? -1 : 1
  return a.number < b.number ? -1 : a.number > b.number ? 1 : 0
}
