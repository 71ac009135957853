import type { ReplicationLogger } from '../../replication/index.js'
import type { Store } from '../../storage/index.js'

/** Commits of this time share a sync, ms. */
const COLLECT_MS = 100

/**
 * With `storage.sync: os` nothing brings commits to the disk, and what is not there must not be told to peers. So own
 * commits are synced a moment later, many at once; publishers still do not wait for it.
 *
 * @returns what ends it
 */
export function syncForPeers(store: Store, logger: ReplicationLogger): () => void {
  let timer: NodeJS.Timeout | undefined
  const sync = (): void => {
    timer = undefined
    store.replicas.sync().catch((error: unknown) => {
      logger.warn({ err: error }, 'commits could not be synced, so peers are not told of them yet')
    })
  }
  const unsubscribe = store.onCommit((batches) => {
    if (timer !== undefined || !batches.some(({ stream }) => stream.startsWith(store.nodeId))) return
    timer = setTimeout(sync, COLLECT_MS)
    timer.unref()
  })
  return () => {
    unsubscribe()
    clearTimeout(timer)
  }
}
