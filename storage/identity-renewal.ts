import type { NodeId } from '../core/index.js'
import type { DataDirectory } from './data-directory.js'
import { endRenewal, prepareRenewal } from './identity-file.js'
import { writeTopicsFile } from './topics-file.js'

/** What became of a renewed identity. */
export interface RenewedIdentity {
  readonly oldNodeId: NodeId
  readonly nodeId: NodeId
  /** File with the old key. */
  readonly kept: string
}

/**
 * Gives a data directory a new key. All streams in it are those of another node from then on; `ReplicaStore.handOver` is
 * to be called for each topic before. No store may be open, and the directory has to be closed and opened anew. A crash
 * leaves the old identity or the new one in force.
 */
export async function renewIdentity(directory: DataDirectory): Promise<RenewedIdentity> {
  const { path, nodeId: oldNodeId, formerNodes, topics } = directory
  const { nodeId, kept } = await prepareRenewal(path, oldNodeId)
  await writeTopicsFile(path, { node: nodeId, former: [...formerNodes, oldNodeId], topics })
  await endRenewal(path, nodeId)
  return { oldNodeId, nodeId, kept }
}
