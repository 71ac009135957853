/**
 * The base-64 of node ids: alphabet `./0-9A-Za-z`, no padding. Its characters are in ASCII order, so ids sort like the
 * bytes that they stand for (the alphabet is that of the Actyx API).
 */
const ALPHABET = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** Stands for a character that is not in the alphabet. */
const FOREIGN = 64

/** By character code. */
const VALUES = new Uint8Array(128).fill(FOREIGN)
for (let value = 0; value < ALPHABET.length; value++) VALUES[ALPHABET.charCodeAt(value)] = value

/** Characters that 32 bytes take. */
export const NODE_ID_LENGTH = 43

/** @returns the text of `bytes`; 32 bytes give 43 characters */
export function encodeBase64(bytes: Uint8Array): string {
  let text = ''
  let buffer = 0
  let bits = 0
  for (const byte of bytes) {
    buffer = (buffer << 8) | byte
    bits += 8
    while (bits >= 6) {
      bits -= 6
      text += ALPHABET.charAt((buffer >> bits) & 63)
    }
    buffer &= (1 << bits) - 1
  }
  return bits > 0 ? text + ALPHABET.charAt((buffer << (6 - bits)) & 63) : text
}

/** @returns the bytes, or `undefined` for a foreign character, an impossible length, or bits set beyond the last byte */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 === 1) return undefined
  const bytes = new Uint8Array(Math.floor((text.length * 6) / 8))
  let buffer = 0
  let bits = 0
  let at = 0
  for (let place = 0; place < text.length; place++) {
    const value = VALUES[text.charCodeAt(place)] ?? FOREIGN
    if (value === FOREIGN) return undefined
    buffer = (buffer << 6) | value
    bits += 6
    if (bits >= 8) {
      bits -= 8
      bytes[at++] = (buffer >> bits) & 255
    }
    buffer &= (1 << bits) - 1
  }
  return buffer === 0 ? bytes : undefined
}
