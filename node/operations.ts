import type { DataDirectory, Store, StoreLogger } from '../storage/index.js'
import type { Operations } from './api/index.js'
import { reportIdentity, reportTopic } from './node-reports.js'

/** What operators may see and do while the node runs; what they do is logged. */
export function operationsOf(directory: DataDirectory, store: Store, topic: string, logger: StoreLogger): Operations {
  const identity = () => reportIdentity(store.nodeId, store.replicas.epoch)
  return {
    identity,
    beginEpoch: async () => {
      const epoch = await store.replicas.beginEpoch()
      logger.warn({ epoch }, 'a new epoch has begun: events go into new streams')
      return identity()
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
