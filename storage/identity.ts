import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify, type KeyObject } from 'node:crypto'
import { decodeBase64, encodeBase64, type NodeId } from '../core/index.js'

/** The fixed bytes before an Ed25519 seed (PKCS #8) and before a public key (SPKI) in DER. */
const PRIVATE_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')
const PUBLIC_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')

/** Bytes of the secret that everything else follows from. */
export const SEED_LENGTH = 32

/** The key pair of a node. The public key is the node id. */
export class Identity {
  readonly nodeId: NodeId
  readonly #key: KeyObject

  private constructor(key: KeyObject) {
    this.#key = key
    const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
    this.nodeId = encodeBase64(spki.subarray(PUBLIC_PREFIX.length))
  }

  static fromSeed(seed: Uint8Array): Identity {
    const der = Buffer.concat([PRIVATE_PREFIX, seed])
    return new Identity(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }))
  }

  static createSeed(): Buffer {
    const { privateKey } = generateKeyPairSync('ed25519')
    return privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(PRIVATE_PREFIX.length)
  }

  /** The secret, for whoever has to prove the same identity in another way, such as the network. Not to be logged. */
  exportSeed(): Buffer {
    return this.#key.export({ format: 'der', type: 'pkcs8' }).subarray(PRIVATE_PREFIX.length)
  }

  /** As {@link sign} without leaving the event loop: 40 µs of it, where going to the thread pool and back takes no less. */
  signAtOnce(message: Uint8Array): Buffer {
    return sign(null, message, this.#key)
  }

  /** Ed25519 in the thread pool: 64 bytes. */
  sign(message: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      sign(null, message, this.#key, (error, signature) => {
        if (error === null) resolve(signature)
        else reject(error)
      })
    })
  }
}

/** Public keys that are kept: making one costs as much as checking a signature with it. */
const MAX_KEYS = 1024
const keys = new Map<NodeId, KeyObject>()

/** Whether a node signed a message; false for a malformed node id. */
export function verifySignature(nodeId: NodeId, message: Uint8Array, signature: Uint8Array): boolean {
  const key = publicKeyOf(nodeId)
  return key !== undefined && verify(null, message, key, signature)
}

function publicKeyOf(nodeId: NodeId): KeyObject | undefined {
  const known = keys.get(nodeId)
  if (known !== undefined) return known
  const bytes = decodeBase64(nodeId)
  if (bytes?.length !== SEED_LENGTH) return undefined
  const key = createPublicKey({ key: Buffer.concat([PUBLIC_PREFIX, bytes]), format: 'der', type: 'spki' })
  if (keys.size >= MAX_KEYS) keys.clear()
  keys.set(nodeId, key)
  return key
}
