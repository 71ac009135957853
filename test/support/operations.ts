import { Readable } from 'node:stream'
import type { ApiOptions } from '../../node/api/index.js'

/** What a person sees of a node that has nothing. */
export function viewsFor(nodeId: string): ApiOptions['views'] {
  return {
    blocks: () => Promise.resolve(undefined),
    tags: () => Promise.resolve({ tags: ['a'], complete: true }),
    alarms: () => [],
    swarm: () =>
      Promise.resolve({ nodeId, topic: 'a', isInSwarm: false, addresses: [], streams: [], missing: [], nodes: [] }),
  }
}

/** What operators see of a node that tests do not have. */
export function operationsFor(nodeId: string): ApiOptions['operations'] {
  const identity = (epoch: number) => ({ nodeId, peerId: '12D3KooW', epoch })
  return {
    identity: () => identity(0),
    beginEpoch: () => Promise.resolve(identity(1)),
    backup: () =>
      Promise.resolve({ chunks: Readable.from([Buffer.alloc(1024)]), [Symbol.asyncDispose]: () => Promise.resolve() }),
    verify: async function* () {
      yield { type: 'topic', topic: 'a', streams: 0, blocks: 0, events: 0, damages: 0, notes: 0 }
    },
    topics: () => Promise.resolve([{ name: 'a', bytesOnDisk: 1, active: true }]),
    deleteTopic: (name) => Promise.resolve({ name, bytesOnDisk: 0, active: false }),
  }
}
