import type { Clock } from '../core/index.js'
import type { DataDirectory, Store, StoreLogger } from '../storage/index.js'
import type { Operations } from './api/index.js'
import { backUp } from './node-backup.js'
import { reportIdentity, reportTopic } from './node-reports.js'

interface OperatedNode {
  readonly directory: DataDirectory
  readonly store: Store
  readonly topic: string
  readonly logger: StoreLogger
  readonly version: string
  readonly clock: Clock
}

/** What operators may see and do while the node runs; what they do is logged. */
export function operationsOf({ directory, store, topic, logger, version, clock }: OperatedNode): Operations {
  const identity = () => reportIdentity(store.nodeId, store.replicas.epoch)
  return {
    identity,
    beginEpoch: async () => {
      const epoch = await store.replicas.beginEpoch()
      logger.warn({ epoch }, 'a new epoch has begun: events go into new streams')
      return identity()
    },
    backup: async (withIdentity) => {
      const backup = await backUp({ directory, open: { topic, store }, withIdentity, version, clock })
      logger.info({ pauseMs: backup.pauseMs, withIdentity }, 'a backup has begun')
      return backup
    },
    verify: (signal) => store.check(signal),
    topics: async () => (await directory.listTopics()).map((usage) => reportTopic(usage, topic)),
    deleteTopic: async (name) => {
      const deleted = await directory.deleteTopic(name)
      logger.info(deleted, 'topic deleted')
      return reportTopic(deleted, topic)
    },
  }
}
