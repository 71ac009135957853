import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import type { NodeId } from '../../core/index.js'
import { SwarmSettingError } from '../transport-errors.js'
import { nodeIdOfText } from './peer-ids.js'

/** Longest text of an address that is taken from peers, characters. */
const MAX_ADDRESS_LENGTH = 256
const HOSTS: ReadonlySet<string> = new Set(['ip4', 'ip6', 'dns', 'dns4', 'dns6', 'dnsaddr'])

/** An address to dial, without the peer id that may stand at its end. */
export interface PeerAddress {
  readonly address: string
  readonly nodeId: NodeId | undefined
}

/** Reads an address that an operator wrote: any host, TCP, with or without `/p2p/…`. */
export function parsePeerAddress(text: string): PeerAddress {
  let parsed: Multiaddr
  try {
    parsed = multiaddr(text)
  } catch (error) {
    throw new SwarmSettingError(`"${text}" is no multiaddr, such as /ip4/192.168.1.2/tcp/4001`, { cause: error })
  }
  const address = readAddress(parsed)
  if (address === undefined) {
    throw new SwarmSettingError(
      `"${text}" cannot be dialled: it has to be a host, /tcp/ and a port, then /p2p/ or nothing`,
    )
  }
  return address
}

/** Reads an address that a peer sent. */
export function learnAddress(text: unknown): PeerAddress | undefined {
  if (typeof text !== 'string' || text.length > MAX_ADDRESS_LENGTH) return undefined
  try {
    return readAddress(multiaddr(text))
  } catch {
    return undefined
  }
}

export function isLoopback(address: string): boolean {
  return /^\/(ip4\/127\.|ip6\/::1\/|dns[46]?\/localhost\/)/.test(address)
}

function readAddress(parsed: Multiaddr): PeerAddress | undefined {
  const components = parsed.getComponents()
  const last = components.at(-1)
  const peer = last?.name === 'p2p' ? last : undefined
  const [host, transport, ...more] = peer === undefined ? components : components.slice(0, -1)
  if (host === undefined || !HOSTS.has(host.name) || more.length > 0) return undefined
  // A /dnsaddr/ stands for whole addresses.
  if (host.name === 'dnsaddr' ? transport !== undefined : transport?.name !== 'tcp') return undefined
  const nodeId = peer?.value === undefined ? undefined : nodeIdOfText(peer.value)
  if (peer !== undefined && nodeId === undefined) return undefined
  return { address: parsed.toString().replace(/\/p2p\/[^/]+$/, ''), nodeId }
}
