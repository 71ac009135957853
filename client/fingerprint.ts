/**
 * What several values have in common with no others: SHA-256 over the length of each and its JSON text, in hexadecimal. For
 * keys of what is done once, where joining the values would let `['a', 'bc']` be the same as `['ab', 'c']`. Members of
 * objects count in their order.
 *
 * In browsers only for pages that came encrypted or from the same machine, as others are not given SHA-256.
 */
export async function fingerprint(fields: readonly unknown[]): Promise<string> {
  const encoder = new TextEncoder()
  const texts = fields.map((field) => encoder.encode((JSON.stringify(field) as string | undefined) ?? 'null'))
  const bytes = new Uint8Array(texts.reduce((sum, text) => sum + LENGTH_BYTES + text.length, 0))
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const text of texts) {
    view.setUint32(at, text.length)
    bytes.set(text, at + LENGTH_BYTES)
    at += LENGTH_BYTES + text.length
  }
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** Of the length of a value, big-endian. */
const LENGTH_BYTES = 4
