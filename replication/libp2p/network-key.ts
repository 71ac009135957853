import { randomBytes } from 'node:crypto'
import { SwarmSettingError } from '../transport-errors.js'

/** Bytes of the key that all nodes of a swarm share. */
const KEY_LENGTH = 32

/** Reads a network key as operators write it: 44 characters of base64, as 32 bytes give them. */
export function parseNetworkKey(text: string): Buffer {
  const key = Buffer.from(text, 'base64')
  // Node skips what is no base64, so only the way back tells whether all of the text counted.
  if (key.length !== KEY_LENGTH || key.toString('base64') !== text) {
    throw new SwarmSettingError('the network key has to be 32 bytes as base64: 44 characters, the last one "="')
  }
  return key
}

/** A new network key, as {@link parseNetworkKey} reads it. */
export function createNetworkKey(): string {
  return randomBytes(KEY_LENGTH).toString('base64')
}
