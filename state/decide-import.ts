import { isSameJson } from './decide-txn.js'
import type { Draft } from './draft.js'
import { entryKey, HEAD_KEY, RECORD } from './record-keys.js'
import type { ImportRemark, ImportReport, ImportRequest, TransferItem } from './transfer.js'

/** What an import would come to; thrown, so that nothing is written. */
export class RehearsalEnd extends Error {
  readonly report: ImportReport

  constructor(report: ImportReport) {
    super('only a rehearsal')
    this.report = report
  }
}

/** Keys of all records that deciding about an import looks at. */
export function keysOfImport({ items }: ImportRequest): Buffer[] {
  return [HEAD_KEY, ...items.map(recordOf)]
}

/**
 * Writes what is not there yet; the versions are new ones.
 *
 * @throws StateFullError, RehearsalEnd
 */
export function decideImport(draft: Draft, { items, overwrites, isRehearsal }: ImportRequest): ImportReport {
  const remarks: ImportRemark[] = []
  const before = draft.bytes
  let imported = 0
  let same = 0
  for (const item of items) {
    const { kind, name } = item
    const ttlMs = remainingMs(item, draft.time.wallMs)
    const present = draft.record(recordOf(item))
    if (present !== undefined && isSameJson(present.text, item.value)) same++
    else if (ttlMs !== undefined && ttlMs <= 0) remarks.push({ kind, name, outcome: 'expired' })
    // What was appended here under a key is what holds here.
    else if (present !== undefined && (kind === 'dedup' || !overwrites)) remarks.push({ kind, name, outcome: 'kept' })
    else {
      if (present !== undefined) remarks.push({ kind, name, outcome: 'overwritten' })
      write(draft, item, ttlMs)
      imported++
    }
  }
  const report = { imported, same, bytes: draft.bytes - before, remarks }
  if (isRehearsal) throw new RehearsalEnd(report)
  return report
}

function write(draft: Draft, item: TransferItem, ttlMs: number | undefined): void {
  if (item.kind === 'kv') draft.set(item.name, item.value, ttlMs === undefined ? null : { ttlMs })
  else if (ttlMs !== undefined) draft.remember(recordOf(item), item.value, ttlMs)
}

/** As over a restart: what the wall clock says, but never more than there was left. */
function remainingMs({ end }: TransferItem, wallMs: number): number | undefined {
  return end === undefined ? undefined : Math.min(end.ttlMs, end.expiresAt - wallMs)
}

function recordOf({ kind, name }: TransferItem): Buffer {
  return kind === 'kv' ? entryKey(name) : Buffer.concat([Buffer.of(RECORD.appended), Buffer.from(name)])
}
