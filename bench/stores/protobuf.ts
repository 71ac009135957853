/** A field that is to be written: a number, a text, or what was encoded before. */
export type FieldValue = number | string | Uint8Array

/** Writes a message of protocol buffers: numbers as varints, all else by length. */
export function encodeMessage(fields: readonly (readonly [number, FieldValue])[]): Buffer {
  const pieces = fields.flatMap(([field, value]) => {
    if (typeof value === 'number') return [varint(field * 8), varint(value)]
    const bytes = Buffer.from(value)
    return [varint(field * 8 + 2), varint(bytes.length), bytes]
  })
  return Buffer.concat(pieces)
}

/** The fields of a message by number; of one that comes again the last. */
export function decodeMessage(bytes: Buffer): ReadonlyMap<number, number | Buffer> {
  const fields = new Map<number, number | Buffer>()
  let at = 0
  const read = (): number => {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = bytes[at++] ?? 0
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 128
    }
  }
  while (at < bytes.length) {
    const tag = read()
    const number = read()
    if (tag % 8 === 0) fields.set(tag >>> 3, number)
    else fields.set(tag >>> 3, bytes.subarray(at, (at += number)))
  }
  return fields
}

/** @param value whole, not negative */
function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  bytes.push(rest)
  return Buffer.from(bytes)
}
