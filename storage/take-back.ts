import type { Database } from './database.js'
import { offsetOfKey } from './keys.js'
import { restoreTail } from './restore-tail.js'
import { StoreCorruptError } from './store-errors.js'
import { decodeStreamRecord, emptyStreamRecord } from './stream-record.js'
import { StreamState } from './stream-state.js'
import type { StreamTable } from './stream-table.js'

/** Tail records read at once. */
const PAGE = 256

/**
 * After a failed write and opening anew: index entries are written without a sync, so the log may have lost the last of
 * them, and with them the deletion of the tail records. Streams that met with this go back to their tails, which will be
 * sealed again; replicas go back as far as they must, and fetch the rest again.
 *
 * @throws StoreCorruptError when a tail is gone too, CorruptRecordError when something cannot be read
 */
export async function takeBackLostSeals(meta: Database, streams: StreamTable): Promise<void> {
  for (const state of [...streams.born()]) {
    const value = await meta.get(state.keys.record)
    const stored = value === undefined ? emptyStreamRecord(state.stream) : decodeStreamRecord(state.stream, value)
    if (stored.sealedEnd >= state.record.sealedEnd || state.damaged) continue
    const fresh = new StreamState(state.stream, stored)
    await readTail(meta, fresh, state.tailEnd)
    if (fresh.tailEnd !== state.tailEnd && !state.isReplica) {
      throw new StoreCorruptError(
        `stream ${state.stream} has events up to offset ${String(fresh.tailEnd)} on disk, and up to ${String(state.tailEnd)} were acknowledged`,
      )
    }
    state.goBackTo(fresh)
  }
}

/** What lies behind `end` was never acknowledged. */
async function readTail(meta: Database, state: StreamState, end: number): Promise<void> {
  const range = { gte: state.keys.at('tail', state.record.sealedEnd), lt: state.keys.at('tail', end), limit: PAGE }
  for await (const [key, value] of meta.entries(range)) {
    const offset = offsetOfKey(key)
    if (offset !== state.tailEnd) return
    restoreTail(state, offset, value)
  }
}
