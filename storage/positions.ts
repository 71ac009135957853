import {
  compileSelection,
  EventBatch,
  isInKeyRange,
  type AppId,
  type EventBatchParts,
  type NodeId,
  type StreamId,
  type TagSelection,
} from '../core/index.js'
import { LineSet } from './line-set.js'
import { lineCount, type Lines } from './lines.js'

/** Chosen lines by number, ascending and at least one; or all or none of them. */
export type LineChoice = 'all' | 'none' | Uint32Array

/** Lines [from, to) by number. */
export interface LineBounds {
  readonly from: number
  readonly to: number
}

/** What a selection is looked up in. Only what it asks about is touched. */
export interface LineIndex {
  readonly stream: StreamId
  readonly count: number
  addTagged(anyOf: ReadonlySet<string>, into: LineSet): void
  addOfApp(appId: AppId, into: LineSet): void
  lamports(): Float64Array
  timestamps(): Float64Array
}

/** The lines within the bounds that are meant. */
export function chooseLines(
  selection: TagSelection,
  index: LineIndex,
  ownNode: NodeId,
  { from, to }: LineBounds,
): LineChoice {
  const found = evaluate(selection, index, ownNode)
  if (found === 'none' || from >= to) return 'none'
  if (found === 'all') return from === 0 && to === index.count ? 'all' : range(from, to)
  const lines = found.toArray(from, to)
  if (lines.length === index.count) return 'all'
  return lines.length === 0 ? 'none' : lines
}

/** The lines that are meant, of lines in memory. */
export function selectLines(lines: Lines, selection: TagSelection, ownNode: NodeId): LineChoice {
  if (selection.kind === 'all' || selection.kind === 'none') return selection.kind
  const count = lineCount(lines)
  const matches = compileSelection(selection, ownNode)
  const chosen: number[] = []
  for (let line = 0; line < count; line++) {
    const event = {
      stream: lines.stream,
      lamport: lines.lamports[line] ?? 0,
      timestamp: lines.timestamps[line] ?? 0,
      tags: lines.tags[line] ?? [],
      appId: lines.appIds[line] ?? '',
    }
    if (matches(event)) chosen.push(line)
  }
  if (chosen.length === count) return 'all'
  return chosen.length === 0 ? 'none' : Uint32Array.from(chosen)
}

/** The chosen lines in the wanted order; `undefined` when there are none. */
export function batchOf(parts: EventBatchParts, choice: LineChoice, order: 'asc' | 'desc'): EventBatch | undefined {
  const count = parts.payloads.length
  if (choice === 'none' || count === 0) return undefined
  if (order === 'desc')
    return new EventBatch({ ...parts, selected: (choice === 'all' ? range(0, count) : choice.slice()).reverse() })
  if (choice === 'all')
    return parts.selected === undefined && parts instanceof EventBatch
      ? parts
      : new EventBatch({ ...parts, selected: undefined })
  const first = choice[0] ?? 0
  const last = choice[choice.length - 1] ?? 0
  // Neighbours need no choice among lines: views of the arrays do.
  return last - first + 1 === choice.length
    ? new EventBatch(viewOf(parts, first, last + 1))
    : new EventBatch({ ...parts, selected: choice })
}

function viewOf(parts: EventBatchParts, from: number, to: number): EventBatchParts {
  return {
    stream: parts.stream,
    bytes: parts.bytes,
    firstOffset: parts.firstOffset + from,
    starts: parts.starts.subarray(from, to + 1),
    payloads: parts.payloads.subarray(from, to),
    lamports: parts.lamports.subarray(from, to),
    timestamps: parts.timestamps.subarray(from, to),
  }
}

function range(from: number, to: number): Uint32Array {
  const lines = new Uint32Array(to - from)
  for (let line = from; line < to; line++) lines[line - from] = line
  return lines
}

function evaluate(selection: TagSelection, index: LineIndex, ownNode: NodeId): LineSet | 'all' | 'none' {
  switch (selection.kind) {
    case 'all':
    case 'none':
      return selection.kind
    case 'local':
      return index.stream.startsWith(ownNode) ? 'all' : 'none'
    case 'tags':
      return collect(index, (set) => {
        index.addTagged(selection.anyOf, set)
      })
    case 'appId':
      return collect(index, (set) => {
        index.addOfApp(selection.appId, set)
      })
    case 'time': {
      const timestamps = index.timestamps()
      return pick(index, (line) => {
        const timestamp = timestamps[line] ?? 0
        return timestamp >= selection.from && timestamp < selection.to
      })
    }
    case 'key': {
      const lamports = index.lamports()
      const { stream } = index
      return pick(index, (line) => isInKeyRange({ lamport: lamports[line] ?? 0, stream }, selection.from, selection.to))
    }
    case 'and':
      return evaluateAnd(selection.terms, index, ownNode)
    case 'or':
      return evaluateOr(selection.terms, index, ownNode)
  }
}

function evaluateAnd(terms: readonly TagSelection[], index: LineIndex, ownNode: NodeId): LineSet | 'all' | 'none' {
  let result: LineSet | undefined
  for (const term of terms) {
    const found = evaluate(term, index, ownNode)
    if (found === 'none') return found
    if (found === 'all') continue
    if (result === undefined) result = found
    else result.intersect(found)
  }
  return result ?? 'all'
}

function evaluateOr(terms: readonly TagSelection[], index: LineIndex, ownNode: NodeId): LineSet | 'all' | 'none' {
  let result: LineSet | undefined
  for (const term of terms) {
    const found = evaluate(term, index, ownNode)
    if (found === 'all') return found
    if (found === 'none') continue
    if (result === undefined) result = found
    else result.unite(found)
  }
  return result ?? 'none'
}

function collect(index: LineIndex, add: (set: LineSet) => void): LineSet {
  const set = new LineSet(index.count)
  add(set)
  return set
}

function pick(index: LineIndex, matches: (line: number) => boolean): LineSet {
  const set = new LineSet(index.count)
  for (let line = 0; line < index.count; line++) if (matches(line)) set.add(line)
  return set
}
