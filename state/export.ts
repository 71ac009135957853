import type { RecordStore } from './backend.js'
import { nameOfEntry, RECORD, recordsOf } from './record-keys.js'
import { decodeStored } from './records.js'
import type { Page, ScanRequest } from './scan.js'
import type { StateTime } from './state-time.js'
import type { ExportedItem, TransferEnd, TransferKind } from './transfer.js'

/** Entries that are read at once. */
const PAGE = 256

/** Where an export comes from. */
export interface ExportSource {
  readonly records: RecordStore
  readonly time: StateTime
  readonly scan: (request: ScanRequest) => Promise<Page>
}

/** What is exported. */
export interface ExportRequest {
  readonly kinds: readonly TransferKind[]
  /** Of the keys of entries. */
  readonly prefix: string
}

/**
 * What one state hands on to another: entries as they were at one revision, the others as they are when they are read.
 *
 * @throws CompactedError when so much changes meanwhile that the moment is not remembered any more
 */
export async function* exportItems(
  request: ExportRequest,
  revision: number,
  source: ExportSource,
): AsyncGenerator<ExportedItem> {
  if (request.kinds.includes('kv')) yield* exportEntries(request.prefix, revision, source)
  if (request.kinds.includes('dedup')) yield* exportRemembered(source)
}

async function* exportEntries(
  prefix: string,
  atRevision: number,
  { scan, time }: ExportSource,
): AsyncGenerator<ExportedItem> {
  let after: string | undefined
  do {
    const { entries, next } = await scan({ prefix, after, limit: PAGE, atRevision })
    for (const { key, value, version, expiresAt } of entries) {
      const end = expiresAt === undefined ? undefined : rounded({ ttlMs: expiresAt - time.wallMs, expiresAt })
      yield { kind: 'kv', name: key, value, version, end }
    }
    after = next
  } while (after !== undefined)
}

async function* exportRemembered({ records, time }: ExportSource): AsyncGenerator<ExportedItem> {
  const { gte, lt } = recordsOf(RECORD.appended)
  let from: { readonly gte: Buffer } | { readonly gt: Buffer } = { gte }
  for (;;) {
    const page = await records.page({ ...from, lt, limit: PAGE })
    for (const [record, content] of page) {
      const { lifetime, text, version } = decodeStored(content)
      if (lifetime === undefined || time.hasEnded(lifetime)) continue
      const ttlMs = time.deadlineMs(lifetime) - time.nowMs
      yield {
        kind: 'dedup',
        name: nameOfEntry(record),
        value: text,
        version,
        end: rounded({ ttlMs, expiresAt: time.wallMs + ttlMs }),
      }
    }
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE) return
    from = { gt: last[0] }
  }
}

function rounded({ ttlMs, expiresAt }: TransferEnd): TransferEnd {
  return { ttlMs: Math.max(1, Math.round(ttlMs)), expiresAt: Math.round(expiresAt) }
}
