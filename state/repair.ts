import type { StateView } from '../storage/index.js'
import type { RecordStore } from './backend.js'
import type { Change } from './change-log.js'
import { countAnswers, type StateFault } from './check.js'
import { deadlineKey, nameOfEntry, parseRequestName, RECORD, requestOrderKey } from './record-keys.js'
import { decodeStored } from './records.js'
import { encodeCount } from './request-memory.js'

/**
 * Gives up what is damaged, and writes indexes and counts anew; the sums of the state are its business. Nothing else may
 * write meanwhile.
 *
 * @returns what it did to entries
 */
export async function repairRecords(records: RecordStore, faults: readonly StateFault[]): Promise<readonly Change[]> {
  const counts = new Map<string, number>()
  for (const { record } of faults) {
    if (record[0] === RECORD.requestCount)
      counts.set(nameOfEntry(record), await countAnswers(record, (range) => records.page(range)))
  }
  const changes: Change[] = []
  await records.commit({
    keys: faults.filter(({ kind }) => kind === 'index').map(({ record }) => record),
    appends: [],
    bytes: 0,
    decide: (view) => {
      for (const fault of faults) mend(view, fault, counts, changes)
    },
    committed: () => undefined,
  })
  return changes
}

/** Whether it is mended one by one, unlike what the state as a whole says. */
export function isMendable({ record, kind }: StateFault): boolean {
  return record[0] === RECORD.requestCount || (record[0] !== RECORD.head && kind !== 'count')
}

function mend(
  view: StateView,
  { record, kind }: StateFault,
  counts: ReadonlyMap<string, number>,
  changes: Change[],
): void {
  switch (record[0]) {
    case RECORD.head:
      return
    case RECORD.requestCount:
      view.put(record, encodeCount(counts.get(nameOfEntry(record)) ?? 0))
      return
    case RECORD.deadline:
    case RECORD.requestOrder:
      view.delete(record)
      return
    default:
      if (kind === 'index') addToIndex(view, record)
      if (kind !== 'damaged') return
      view.delete(record)
      if (record[0] === RECORD.entry) {
        changes.push({ key: nameOfEntry(record), value: undefined, isExpiry: false, before: undefined })
      }
  }
}

function addToIndex(view: StateView, record: Buffer): void {
  const content = view.get(record)
  const lifetime = content === undefined ? undefined : decodeStored(content).lifetime
  if (lifetime === undefined) return
  const { runDeadlineMs } = lifetime
  if (record[0] !== RECORD.request) {
    view.put(deadlineKey(runDeadlineMs, record), NOTHING)
    return
  }
  const { app, id } = parseRequestName(record)
  view.put(requestOrderKey(app, runDeadlineMs, id), NOTHING)
}

const NOTHING = Buffer.alloc(0)
