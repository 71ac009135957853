import type { Transport } from '../transport.js'
import { parseNetworkKey } from './network-key.js'
import type { SwarmOptions } from './swarm-options.js'

/**
 * Joins a swarm over TCP. libp2p (30 MB, half a second) is loaded only now: a node without network key never has it.
 * Returns when the own addresses are bound; peers are connected when they are.
 *
 * @throws SwarmSettingError for a malformed key or address, SwarmListenError when no address can be bound
 */
export async function openSwarm(options: SwarmOptions): Promise<Transport> {
  const key = parseNetworkKey(options.networkKey)
  const { SwarmTransport } = await import('./swarm-transport.js')
  return SwarmTransport.open(options, key)
}
