import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { NodeId } from '../core/index.js'
import { DataDirectory } from '../storage/index.js'

/**
 * Makes a data directory with an identity of its own, or looks whether the one that is there is in order.
 *
 * @throws errors of the data directory; StoreLockedError when a node runs with it
 */
export async function prepareDataDirectory(
  path: string,
): Promise<{ readonly nodeId: NodeId; readonly isNew: boolean }> {
  const isNew = !existsSync(join(path, 'identity.key'))
  await using directory = await DataDirectory.open(path)
  return { nodeId: directory.nodeId, isNew }
}
