import type { RecordStore } from './backend.js'
import type { ChangeLog } from './change-log.js'
import { entriesBelow, entryKey, nameOfEntry } from './record-keys.js'
import { decodeStored } from './records.js'
import type { StateTime } from './state-time.js'
import type { Entry } from './txn.js'

/** Which entries. */
export interface ScanRequest {
  readonly prefix: string
  /** Key behind which to begin. */
  readonly after: string | undefined
  /** Entries at most, at least 1. */
  readonly limit: number
  /** As they were at this revision; else at the newest. */
  readonly atRevision: number | undefined
}

/** Some entries of one moment. */
export interface Page {
  readonly entries: readonly Entry[]
  /** To be named for the pages that follow, so that they are of the same moment. */
  readonly revision: number
  /** Key behind which the next page begins; `undefined` when this is the last one. */
  readonly next: string | undefined
}

/** Where a page comes from. */
export interface ScanSource {
  readonly records: RecordStore
  readonly log: ChangeLog
  readonly time: StateTime
  /** Resolves when the log knows all that could be read when it was called. */
  readonly settled: () => Promise<void>
}

/**
 * Reads what is there now and takes back what has changed since the wanted revision.
 *
 * @throws CompactedError
 */
export async function readPage(request: ScanRequest, { records, log, time, settled }: ScanSource): Promise<Page> {
  const { prefix, after, limit } = request
  const revision = request.atRevision ?? log.revision
  // Ends here, rather than after the work, when it is too old.
  log.after(revision)
  const { gte, lt } = entriesBelow(prefix)
  const behind = after === undefined ? undefined : entryKey(after)
  const start = behind === undefined || Buffer.compare(behind, gte) < 0 ? { gte } : { gt: behind }
  const found = await records.page({ ...start, lt, limit: limit + 1 })
  await settled()
  const isWhole = found.length <= limit
  const read = isWhole ? found : found.slice(0, limit)
  const last = isWhole ? undefined : read.at(-1)?.[0]
  const then = takenBack(read, log, revision, (record) => isWithin(record, prefix, behind, last))
  const page = then.slice(0, limit)
  const entries = page.flatMap(([record, content]) => {
    const { version, lifetime, text } = decodeStored(content)
    if (time.hasEnded(lifetime)) return []
    const expiresAt = time.expiresAt(lifetime)
    const entry: Entry = { key: nameOfEntry(record), value: text, version }
    return [expiresAt === undefined ? entry : { ...entry, expiresAt }]
  })
  const end = then.length > limit ? page.at(-1)?.[0] : last
  return { entries, revision, next: end === undefined ? undefined : nameOfEntry(end) }
}

function isWithin(record: Buffer, prefix: string, behind: Buffer | undefined, last: Buffer | undefined): boolean {
  if (!nameOfEntry(record).startsWith(prefix)) return false
  if (behind !== undefined && Buffer.compare(record, behind) <= 0) return false
  return last === undefined || Buffer.compare(record, last) <= 0
}

/** Records as they were at a revision, in order. */
function takenBack(
  read: readonly [Buffer, Buffer][],
  log: ChangeLog,
  revision: number,
  isWanted: (record: Buffer) => boolean,
): readonly [Buffer, Buffer][] {
  const since = log.after(revision)
  if (since.length === 0) return read
  const records = new Map(read.map((entry) => [entry[0].toString('latin1'), entry]))
  for (const { changes } of since.toReversed()) {
    for (const { key, before } of changes.toReversed()) {
      const record = entryKey(key)
      if (!isWanted(record)) continue
      if (before === undefined) records.delete(record.toString('latin1'))
      else records.set(record.toString('latin1'), [record, before])
    }
  }
  return [...records.values()].sort(([a], [b]) => Buffer.compare(a, b))
}
