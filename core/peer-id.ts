import { decodeBase64, encodeBase64 } from './base64.js'
import { isNodeId, type NodeId } from './stream-id.js'

/** What libp2p calls a node: `12D3KooW…`, the node's public key in another form. */
export type PeerId = string

/** Base58 as Bitcoin writes it. */
const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

/** Before the 32 bytes of a key: multihash `identity` of 36 bytes, protobuf of a public key, Ed25519, 32 bytes. */
const PREFIX = 0x00_24_08_01_12_20n
const KEY_BITS = 256n
const KEY_LENGTH = 32

/** @returns `undefined` for a text that is no node id */
export function peerIdOfNode(nodeId: NodeId): PeerId | undefined {
  const key = isNodeId(nodeId) ? decodeBase64(nodeId) : undefined
  if (key === undefined) return undefined
  let number = key.reduce((sum, byte) => (sum << 8n) | BigInt(byte), PREFIX)
  let text = ''
  for (; number > 0n; number /= 58n) text = ALPHABET.charAt(Number(number % 58n)) + text
  // The leading zero byte.
  return `1${text}`
}

/** @returns `undefined` for anything but the peer id of an Ed25519 key */
export function nodeIdOfPeer(peerId: PeerId): NodeId | undefined {
  if (!/^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/.test(peerId)) return undefined
  let number = 0n
  for (const character of peerId) number = number * 58n + BigInt(ALPHABET.indexOf(character))
  if (number >> KEY_BITS !== PREFIX) return undefined
  const bytes = Array.from({ length: KEY_LENGTH }, (_, at) => Number((number >> BigInt(8 * (31 - at))) & 255n))
  return encodeBase64(Uint8Array.from(bytes))
}
