import type { Database } from './database.js'
import { StoreCorruptError } from './store-errors.js'
import type { StreamTable } from './stream-table.js'

/**
 * After a failed write: brings the tails on disk in line with those in memory. What a write left that was reported as
 * failed goes; everything acknowledged must be there.
 *
 * @throws StoreCorruptError when a record is missing
 */
export async function verifyTails(meta: Database, streams: StreamTable): Promise<void> {
  for (const { keys, stream, tailEnd, record, closed, open } of streams.all()) {
    const expected = [...closed, open].reduce((sum, block) => sum + block.parts.length, 0)
    const found = await meta.keys({
      gte: keys.at('tail', record.sealedEnd),
      lt: keys.at('tail', tailEnd),
      limit: expected + 1,
    })
    if (found.length !== expected) {
      throw new StoreCorruptError(
        `stream ${stream} has ${String(found.length)} tail records on disk, and ${String(expected)} were acknowledged`,
      )
    }
    const left = await meta.keys({
      gte: keys.at('tail', tailEnd),
      lt: keys.at('tail', Number.MAX_SAFE_INTEGER),
      limit: 1000,
    })
    if (left.length > 0) {
      await meta.write(
        left.map((key) => ({ type: 'del', key })),
        true,
      )
    }
  }
}
