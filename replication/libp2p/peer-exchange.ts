import { isNodeId, type NodeId } from '../../core/index.js'
import { isLoopback, learnAddress } from './addresses.js'

/** What one answer may hold. */
const MAX_PEERS = 64
const MAX_ADDRESSES = 8

/** A node and where it may be reached. */
export interface KnownPeer {
  readonly nodeId: NodeId
  readonly addresses: readonly string[]
}

/**
 * What peers tell each other about others: `[["<node id>", ["/ip4/…", …]], …]`. When there are more than fit, chance decides: else a
 * node that many are configured with would send them all to the same few.
 */
export function encodePeers(
  peers: readonly KnownPeer[],
  toLoopback: boolean,
  random: () => number = Math.random,
): Uint8Array {
  const list: [NodeId, string[]][] = []
  const left = [...peers]
  while (left.length > 0) {
    const [peer] = left.splice(Math.floor(random() * left.length), 1)
    if (peer === undefined) break
    const { nodeId, addresses } = peer
    const reachable = addresses.filter((address) => toLoopback || !isLoopback(address)).slice(0, MAX_ADDRESSES)
    if (reachable.length > 0) list.push([nodeId, reachable])
    if (list.length === MAX_PEERS) break
  }
  return Buffer.from(JSON.stringify(list))
}

/** Whatever is no peer or no address is left out: the bytes come from somebody else. */
export function decodePeers(bytes: Uint8Array): KnownPeer[] {
  let list: unknown
  try {
    list = JSON.parse(Buffer.from(bytes).toString())
  } catch {
    return []
  }
  if (!Array.isArray(list)) return []
  return list.slice(0, MAX_PEERS).flatMap((entry: unknown) => {
    if (!Array.isArray(entry)) return []
    const [nodeId, addresses] = entry as unknown[]
    return checkPeer(nodeId, addresses) ?? []
  })
}

/** @returns the peer with those of its addresses that can be dialled, if there are any */
export function checkPeer(nodeId: unknown, addresses: unknown): KnownPeer | undefined {
  if (typeof nodeId !== 'string' || !isNodeId(nodeId) || !Array.isArray(addresses)) return undefined
  const known = addresses.slice(0, MAX_ADDRESSES).flatMap((text: unknown) => learnAddress(text)?.address ?? [])
  return known.length > 0 ? { nodeId, addresses: known } : undefined
}
