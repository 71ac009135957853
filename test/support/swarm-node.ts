import type { Test } from 'tap'
import {
  REPLICATE_ALL,
  Replicator,
  systemTime,
  type ReplicationPolicy,
  type Transport,
} from '../../replication/index.js'
import type { Store } from '../../storage/index.js'
import { openNode } from '../replication/swarms.js'
import { openTestStore, type StoreSettings } from './store.js'
import { temporaryDirectory } from './temporary-directory.js'

export const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined }

/** A store that replicates over loopback. */
export interface SwarmNode {
  readonly store: Store
  readonly transport: Transport
  readonly replicator: Replicator
  readonly path: string
  close(): Promise<void>
}

export interface SwarmNodeOptions {
  readonly path?: string
  readonly peers?: readonly string[]
  readonly policy?: Partial<ReplicationPolicy>
  readonly store?: StoreSettings
}

/** Starts one; it is closed with the test. */
export async function openSwarmNode(t: Test, options: SwarmNodeOptions = {}): Promise<SwarmNode> {
  const { path = temporaryDirectory(t), peers = [], policy = {} } = options
  const opened = await openTestStore(path, options.store)
  const { store } = opened
  const seed = opened.directory.identity.exportSeed()
  const transport = await openNode(t, { seed, initialPeers: [...peers] })
  const replicator = new Replicator({
    transport,
    store: store.replicas,
    topic: 'test',
    time: systemTime(),
    policy: { ...REPLICATE_ALL, headsIntervalMs: 500, ...policy },
    logger: quiet,
  })
  let closed: Promise<void> | undefined
  const close = async () => {
    await replicator.close()
    await transport.close()
    await opened.close()
  }
  const node: SwarmNode = { store, transport, replicator, path, close: () => (closed ??= close()) }
  t.teardown(() => node.close())
  return node
}
