/**
 * A process that is one hostile member of a swarm, and does one act when its parent says so. Stays connected until it is
 * killed. Arguments: its `HostileSetup` as JSON.
 */
import type { NodeId } from '../../core/index.js'
import { HOSTILE_ACTS } from '../swarm/hostile-acts.js'
import { HostilePeer, type Target } from '../swarm/hostile-peer.js'

export interface HostileSetup {
  readonly target: Target
  /** Place of the act in the list of all. */
  readonly act: number
  /** Who publishes all the time. */
  readonly honest: NodeId
}

export type HostileReport =
  | { readonly kind: 'connected'; readonly nodeId: NodeId }
  /** The act is over; `nodeId` is who did it. */
  | { readonly kind: 'done'; readonly nodeId: NodeId }
  | { readonly kind: 'failed'; readonly reason: string }

const report = (message: HostileReport): void => {
  if (process.connected) process.send?.(message)
}
process.on('disconnect', () => process.exit())

const { target, act: number, honest } = JSON.parse(process.argv[2] ?? '') as HostileSetup
try {
  const peer = await HostilePeer.connect(target)
  report({ kind: 'connected', nodeId: peer.nodeId })
  await new Promise((resolve) => process.once('message', resolve))
  const other = await HOSTILE_ACTS[number]?.run(peer, honest)
  report({ kind: 'done', nodeId: other ?? peer.nodeId })
} catch (error) {
  report({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) })
}
