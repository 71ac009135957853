import { isInKeyRange, SELECT_ALL, type NodeId, type TagSelection } from '../core/index.js'
import type { EventsSummary } from './block-summary.js'
import { mayHave, mayHaveAny } from './name-filter.js'

const SELECT_NONE: TagSelection = { kind: 'none' }

/** Whether an event of the block or group may be meant. A no is certain. */
export function mayMatch(summary: EventsSummary, selection: TagSelection, ownNode: NodeId): boolean {
  return narrow(selection, summary, ownNode).kind !== 'none'
}

/**
 * A selection that chooses the same events of this block and asks less: what the summary decides for all its events is
 * replaced by `all` or `none`.
 */
export function narrow(selection: TagSelection, summary: EventsSummary, ownNode: NodeId): TagSelection {
  switch (selection.kind) {
    case 'all':
    case 'none':
      return selection
    case 'tags':
      return mayHaveAny(summary.tags, selection.anyOf) ? selection : SELECT_NONE
    case 'appId':
      if (!mayHave(summary.apps, selection.appId)) return SELECT_NONE
      return summary.apps.kind === 'exact' && summary.apps.names.size === 1 ? SELECT_ALL : selection
    case 'local':
      return summary.stream.startsWith(ownNode) ? SELECT_ALL : SELECT_NONE
    case 'time':
      if (summary.maxTimestamp < selection.from || summary.minTimestamp >= selection.to) return SELECT_NONE
      return summary.minTimestamp >= selection.from && summary.maxTimestamp < selection.to ? SELECT_ALL : selection
    case 'key':
      return narrowKey(selection, summary)
    case 'and':
      return narrowAnd(selection.terms, summary, ownNode)
    case 'or':
      return narrowOr(selection.terms, summary, ownNode)
  }
}

function narrowKey(selection: TagSelection & { readonly kind: 'key' }, summary: EventsSummary): TagSelection {
  const first = { lamport: summary.firstLamport, stream: summary.stream }
  const last = { lamport: summary.lastLamport, stream: summary.stream }
  const { from, to } = selection
  if (!isInKeyRange(last, from, undefined) || !isInKeyRange(first, undefined, to)) return SELECT_NONE
  return isInKeyRange(first, from, undefined) && isInKeyRange(last, undefined, to) ? SELECT_ALL : selection
}

function narrowAnd(terms: readonly TagSelection[], summary: EventsSummary, ownNode: NodeId): TagSelection {
  const kept: TagSelection[] = []
  for (const term of terms) {
    const narrowed = narrow(term, summary, ownNode)
    if (narrowed.kind === 'none') return narrowed
    if (narrowed.kind !== 'all') kept.push(narrowed)
  }
  const [only] = kept
  return kept.length > 1 ? { kind: 'and', terms: kept } : (only ?? SELECT_ALL)
}

function narrowOr(terms: readonly TagSelection[], summary: EventsSummary, ownNode: NodeId): TagSelection {
  const kept: TagSelection[] = []
  for (const term of terms) {
    const narrowed = narrow(term, summary, ownNode)
    if (narrowed.kind === 'all') return narrowed
    if (narrowed.kind !== 'none') kept.push(narrowed)
  }
  const [only] = kept
  return kept.length > 1 ? { kind: 'or', terms: kept } : (only ?? SELECT_NONE)
}
