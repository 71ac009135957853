import { createHmac } from 'node:crypto'
import { parseNetworkKey } from './network-key.js'

/**
 * The name under which nodes with a network key find each other in a local network. Swarms with different keys in one
 * network do not even hear of each other. Tells nothing about the key.
 *
 * @throws SwarmSettingError
 */
export function mdnsServiceOf(networkKey: string): string {
  return serviceOfKey(parseNetworkKey(networkKey))
}

/** The same, of a key that was read already. */
export function serviceOfKey(key: Uint8Array): string {
  const tag = createHmac('sha256', key).update('millrace/mdns/1').digest('hex').slice(0, 12)
  return `_mr-${tag}._udp.local`
}
