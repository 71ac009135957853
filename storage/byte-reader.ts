import { CorruptRecordError, type RecordPlace } from './corrupt-record.js'

/** Reads what {@link ByteWriter} wrote. Every method throws {@link CorruptRecordError} rather than read past the end. */
export class ByteReader {
  readonly data: Buffer
  at: number
  readonly place: RecordPlace

  constructor(data: Buffer, at: number, place: RecordPlace) {
    this.data = data
    this.at = at
    this.place = place
  }

  get remaining(): number {
    return this.data.length - this.at
  }

  u8(): number {
    const value = this.data[this.at++]
    if (value === undefined) this.fail('it ends too early')
    return value
  }

  u32(): number {
    this.need(4)
    this.at += 4
    return this.data.readUInt32LE(this.at - 4)
  }

  f64(): number {
    this.need(8)
    this.at += 8
    return this.data.readDoubleLE(this.at - 8)
  }

  varint(): number {
    const first = this.u8()
    if (first < 0x80) return first
    let value = first & 0x7f
    let scale = 0x80
    for (;;) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      if (value > Number.MAX_SAFE_INTEGER) this.fail('a number is too large')
      if (byte < 0x80) return value
      scale *= 0x80
      if (scale > Number.MAX_SAFE_INTEGER) this.fail('a number is too long')
    }
  }

  /** A varint that must not exceed `limit`, as it will decide how much memory is taken. */
  count(limit: number): number {
    const value = this.varint()
    if (value > limit) this.fail('a count is too large')
    return value
  }

  /** A view, not a copy. */
  bytes(length: number): Buffer {
    this.need(length)
    this.at += length
    return this.data.subarray(this.at - length, this.at)
  }

  sized(): Buffer {
    return this.bytes(this.varint())
  }

  text(): string {
    return this.sized().toString()
  }

  /** Nothing may be left. */
  end(): void {
    if (this.at !== this.data.length) this.fail('bytes are left over')
  }

  need(length: number): void {
    if (length > this.data.length - this.at) this.fail('it ends too early')
  }

  fail(reason: string): never {
    throw new CorruptRecordError(this.place, reason)
  }
}
