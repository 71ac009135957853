/** Writes the messages of the wire: numbers as varints (7 bits a byte, lowest first), bytes and texts with their length. */
export class WireWriter {
  readonly #parts: Uint8Array[] = []

  u8(value: number): this {
    this.#parts.push(Uint8Array.of(value))
    return this
  }

  /** A whole number up to 2^53 − 1. */
  varint(value: number): this {
    const bytes: number[] = []
    let rest = value
    for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
    this.#parts.push(Uint8Array.from([...bytes, rest]))
    return this
  }

  sized(bytes: Uint8Array): this {
    this.varint(bytes.length).#parts.push(bytes)
    return this
  }

  text(text: string): this {
    return this.sized(Buffer.from(text))
  }

  finish(): Buffer {
    return Buffer.concat(this.#parts)
  }
}

/** The bytes are not what they should be. Stays inside the codec, which answers `undefined`. */
export class WireError extends Error {
  override readonly name = 'WireError'
}

/** Reads what {@link WireWriter} wrote; throws {@link WireError} where the bytes are something else. */
export class WireReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get remaining(): number {
    return this.#bytes.length - this.#at
  }

  u8(): number {
    const value = this.#bytes[this.#at++]
    if (value === undefined) throw new WireError('it ends too early')
    return value
  }

  varint(): number {
    let value = 0
    for (let scale = 1; scale <= 2 ** 49; scale *= 128) {
      const byte = this.u8()
      value += (byte & 127) * scale
      if (value > Number.MAX_SAFE_INTEGER) break
      // The shortest form only, so that there is one way to say a thing.
      if (byte === 0 && scale > 1) break
      if (byte < 128) return value
    }
    throw new WireError('a number is malformed')
  }

  /** A view, not a copy. */
  sized(): Buffer {
    const length = this.varint()
    if (length > this.remaining) throw new WireError('it ends too early')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  text(maxBytes: number): string {
    const bytes = this.sized()
    if (bytes.length > maxBytes) throw new WireError('a text is too long')
    return bytes.toString()
  }

  end(): void {
    if (this.remaining > 0) throw new WireError('it goes on behind its end')
  }
}
