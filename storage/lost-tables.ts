import { join } from 'node:path'
import type { NodeId } from '../core/index.js'
import { blockKey } from './block.js'
import { decodeSummary, type BlockSummary } from './block-summary.js'
import type { Damage } from './check-report.js'
import { CorruptRecordError } from './corrupt-record.js'
import type { Database } from './database.js'
import { KIND, kindRange, offsetOfKey, streamOfKey } from './keys.js'
import { openIndex } from './store-opening.js'
import { StoreCorruptError } from './store-errors.js'
import { StreamFindings } from './stream-findings.js'
import { overlap, TableGuard } from './table-guard.js'

/** Index entries read at once. */
const PAGE = 256
const LAST_PART = 2 ** 32 - 1

/** Which events lie in damaged tables, of a topic whose store cannot be opened because of them. */
export async function* findLostEvents(path: string, topic: string, nodeId: NodeId): AsyncGenerator<Damage> {
  const damaged = await (await TableGuard.load(join(path, 'blocks'))).findDamaged()
  if (damaged.length === 0) return
  const index = await openIfWhole(path)
  if (index === undefined) return
  try {
    for await (const [key, value] of index.entries({ ...kindRange(KIND.block), limit: PAGE })) {
      const stream = streamOfKey(key)
      const block = decode(stream, offsetOfKey(key), value)
      if (block === undefined) continue
      const { arrival, firstOffset: from, count } = block
      const keys = { from: blockKey(arrival, 0), to: blockKey(arrival, LAST_PART) }
      const table = damaged.find(({ span }) => overlap(span, keys))
      if (table === undefined) continue
      const about = new StreamFindings(topic, stream, stream.startsWith(nodeId))
      yield about.lost(
        { from, to: from + count - 1, part: 'block' },
        `the table ${table.file} is damaged where it lies`,
      )
    }
  } finally {
    await index.close()
  }
}

/** `undefined` when the index is damaged too. */
async function openIfWhole(path: string): Promise<Database | undefined> {
  try {
    return await openIndex(path)
  } catch (error) {
    if (error instanceof StoreCorruptError) return undefined
    throw error
  }
}

function decode(stream: string, offset: number, value: Buffer): BlockSummary | undefined {
  try {
    return decodeSummary(stream, offset, value)
  } catch (error) {
    if (error instanceof CorruptRecordError) return undefined
    throw error
  }
}
