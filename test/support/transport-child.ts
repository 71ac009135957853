/**
 * A process that is one node of a libp2p swarm and nothing else. It sends what happens to its parent, and broadcasts what
 * the parent sends. Arguments: its `TransportSetup` as JSON.
 */
import { systemClock } from '../../core/index.js'
import { openSwarm, SWARM_TIMINGS, type PeerStatus, type TransportEvent } from '../../replication/index.js'

export interface TransportSetup {
  /** Hexadecimal. */
  readonly seed: string
  readonly networkKey: string
  readonly listen: readonly string[]
  readonly initialPeers: readonly string[]
  readonly mdns: boolean
}

export type TransportReport =
  | { readonly kind: 'open'; readonly nodeId: string; readonly addresses: readonly string[] }
  | { readonly kind: 'event'; readonly event: TransportEvent }
  | { readonly kind: 'heard'; readonly text: string }
  | { readonly kind: 'peers'; readonly peers: readonly PeerStatus[] }

const { seed, ...setup } = JSON.parse(process.argv[2] ?? '') as TransportSetup
const report = (message: TransportReport): void => {
  if (process.connected) process.send?.(message)
}
process.on('disconnect', () => process.exit())

const transport = await openSwarm({
  ...setup,
  seed: Buffer.from(seed, 'hex'),
  topic: 'test',
  announce: [],
  timings: SWARM_TIMINGS,
  clock: systemClock,
})
transport.subscribe((event) => {
  report({ kind: 'event', event })
})
transport.onBroadcast((message) => {
  report({ kind: 'heard', text: Buffer.from(message).toString() })
  return Promise.resolve('accept')
})
process.on('message', (text: string) => {
  if (text === '') report({ kind: 'peers', peers: transport.peers() })
  else void transport.broadcast(Buffer.from(text))
})
report({ kind: 'open', nodeId: transport.nodeId, addresses: transport.addresses() })
