import type { StateView } from '../storage/index.js'
import type { RecordStore } from './backend.js'
import { intentKey, RECORD, recordsOf } from './record-keys.js'
import type { TableCommit, TableWrite } from './record-table.js'

/** A decision that was put off, so that nothing may come of it. Never reaches a caller. */
export class NotLookedAtError extends Error {}

/** Copies that are read at once. */
const PAGE = 256

/** Part of a commit as it is kept in the node's store. */
interface Kept {
  readonly after: string
  readonly mark: string
  /** Key and content as base64. */
  readonly writes: readonly (readonly [key: string, content: string | null])[]
}

/** Keeps part of a commit in the node's store. */
export function keepIntent(view: StateView, at: number, { after, mark, writes }: TableCommit): void {
  const kept: Kept = {
    after,
    mark,
    writes: writes.map(({ key, content }) => [key.toString('base64'), content?.toString('base64') ?? null]),
  }
  view.put(intentKey(at), Buffer.from(JSON.stringify(kept)))
}

/** The commit that was under way behind the given one, as far as events that are stored depend on it. */
export async function readIntents(local: RecordStore, after: string): Promise<TableCommit | undefined> {
  const writes = new Map<string, TableWrite>()
  let mark: string | undefined
  for await (const [, content] of intentsIn(local)) {
    const kept = JSON.parse(content.toString()) as Kept
    // Others are of commits before it, and done.
    if (kept.after !== after) continue
    mark = kept.mark
    for (const [key, text] of kept.writes) {
      writes.set(key, {
        key: Buffer.from(key, 'base64'),
        content: text === null ? undefined : Buffer.from(text, 'base64'),
      })
    }
  }
  return mark === undefined ? undefined : { after, mark, writes: [...writes.values()] }
}

/** Takes all copies away: what they are of is done. */
export async function clearIntents(local: RecordStore): Promise<void> {
  const keys: Buffer[] = []
  for await (const [key] of intentsIn(local)) keys.push(key)
  if (keys.length === 0) return
  await local.commit({
    keys: [],
    appends: [],
    bytes: 0,
    decide: (view) => {
      for (const key of keys) view.delete(key)
    },
    committed: () => undefined,
  })
}

async function* intentsIn(local: RecordStore): AsyncGenerator<[Buffer, Buffer]> {
  const { gte, lt } = recordsOf(RECORD.intent)
  let page = await local.page({ gte, lt, limit: PAGE })
  while (page.length > 0) {
    yield* page
    const last = page.at(-1)?.[0]
    page = last === undefined || page.length < PAGE ? [] : await local.page({ gt: last, lt, limit: PAGE })
  }
}
