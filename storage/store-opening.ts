import { join } from 'node:path'
import type { NodeId } from '../core/index.js'
import { Database, type DatabaseTuning, type WriteStep } from './database.js'
import type { DataDirectory, TopicDirectory } from './data-directory.js'
import { FORMAT_VERSION } from './format-file.js'
import { singleKey } from './keys.js'
import { EPOCH, loadEpoch } from './own-history.js'
import { decodeSingle, encodeSingle } from './single-value.js'
import { StoreFormatError, StoreMissingError, StoreWrongNodeError } from './store-errors.js'
import type { StoreOptions } from './store-options.js'

/** Tails, index, heads, names: everything small that one batch must cover. */
const META_TUNING: DatabaseTuning = {
  compression: true,
  writeBufferSize: 2 * 1024 * 1024,
  cacheSize: 8 * 1024 * 1024,
}

/** Sealed blocks: compressed already, and kept in a cache of our own where they are decoded. */
const BLOCKS_TUNING: DatabaseTuning = {
  compression: false,
  writeBufferSize: 2 * 1024 * 1024,
  cacheSize: 2 * 1024 * 1024,
}

const OWNER = 'owner'

/** The two databases of a topic. */
export interface Databases {
  readonly meta: Database
  readonly blocks: Database
}

/**
 * Opens the databases of a topic, or creates them for a new one and puts it on record.
 *
 * @throws StoreMissingError, StoreWrongNodeError, StoreFormatError, StoreLockedError, StoreCorruptError, StoreFullError
 */
export async function openDatabases(
  { directory, topic }: Pick<StoreOptions, 'directory' | 'topic'>,
  { path, onRecord }: TopicDirectory,
): Promise<Databases> {
  const metaPath = join(path, 'meta')
  const blocksPath = join(path, 'blocks')
  if (onRecord) for (const database of [metaPath, blocksPath]) await mustExist(database, topic)
  const meta = await Database.open(metaPath, META_TUNING, 'all', !onRecord)
  try {
    await checkOwner(meta, directory, topic, metaPath)
    const blocks = await Database.open(blocksPath, BLOCKS_TUNING, 'when-read', !onRecord)
    try {
      if (!onRecord) await directory.recordTopic(topic)
      return { meta, blocks }
    } catch (error) {
      await blocks.close()
      throw error
    }
  } catch (error) {
    await meta.close()
    throw error
  }
}

async function mustExist(path: string, topic: string): Promise<void> {
  if (await Database.exists(path)) return
  throw new StoreMissingError(
    `topic '${topic}' is on record, but its database ${path} is missing or lacks its file CURRENT; restore it from a backup: ` +
      'an empty one in its place would give out offsets again that others have seen',
  )
}

/** The database says itself whose it is, in case it was copied from elsewhere. */
async function checkOwner(
  meta: Database,
  { nodeId: node, formerNodes }: DataDirectory,
  topic: string,
  path: string,
): Promise<void> {
  const value = await meta.get(singleKey(OWNER))
  if (value === undefined) {
    const [first] = await meta.keys({ limit: 1 })
    if (first !== undefined) {
      throw new StoreMissingError(
        `the database ${path} has lost records, among them whose it is; restore it from a backup`,
      )
    }
    await meta.write([ownedBy(node, topic)], true)
    return
  }
  const owner = decodeSingle(OWNER, value) as { readonly format: number; readonly node: string; readonly topic: string }
  if (owner.format > FORMAT_VERSION) throw new StoreFormatError(path, String(owner.format), FORMAT_VERSION)
  if (owner.topic === topic && formerNodes.includes(owner.node)) {
    // The epochs were those of the former node.
    await meta.write([ownedBy(node, topic), { type: 'del', key: singleKey(EPOCH) }], true)
    return
  }
  if (owner.node !== node || owner.topic !== topic) {
    throw new StoreWrongNodeError(
      `the database ${path} belongs to node ${owner.node} and topic '${owner.topic}', not to node ${node} and topic '${topic}'`,
    )
  }
}

function ownedBy(node: NodeId, topic: string): WriteStep {
  return { type: 'put', key: singleKey(OWNER), value: encodeSingle(OWNER, { format: FORMAT_VERSION, node, topic }) }
}

/** The index of a topic whose store cannot be opened as a whole. @throws as {@link openDatabases} */
export function openIndex(path: string): Promise<Database> {
  return Database.open(join(path, 'meta'), META_TUNING, 'all', false)
}

/** The epoch of a topic whose store is not open. */
export async function readEpoch(directory: DataDirectory, topic: string): Promise<number> {
  if (!directory.topics.includes(topic)) return 0
  const { path } = await directory.topicDirectory(topic)
  await mustExist(join(path, 'meta'), topic)
  const meta = await Database.open(join(path, 'meta'), META_TUNING, 'when-read', false)
  try {
    return await loadEpoch(meta)
  } finally {
    await meta.close()
  }
}
