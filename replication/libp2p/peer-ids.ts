import { publicKeyFromRaw } from '@libp2p/crypto/keys'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromPublicKey, peerIdFromString } from '@libp2p/peer-id'
import { decodeBase64, encodeBase64, isNodeId, type NodeId } from '../../core/index.js'

/** The node id behind a peer id: both are the same Ed25519 public key. `undefined` for a key of another kind. */
export function nodeIdOf(peerId: PeerId): NodeId | undefined {
  return peerId.type === 'Ed25519' ? encodeBase64(peerId.publicKey.raw) : undefined
}

/** @returns `undefined` when no key can be behind the id */
export function peerIdOf(nodeId: NodeId): PeerId | undefined {
  const bytes = isNodeId(nodeId) ? decodeBase64(nodeId) : undefined
  if (bytes === undefined) return undefined
  try {
    return peerIdFromPublicKey(publicKeyFromRaw(bytes))
  } catch {
    return undefined
  }
}

/** The node id in the text of a peer id, as multiaddrs have it. */
export function nodeIdOfText(peerId: string): NodeId | undefined {
  try {
    return nodeIdOf(peerIdFromString(peerId))
  } catch {
    return undefined
  }
}
