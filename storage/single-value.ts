import { crc32 } from 'node:zlib'
import { CHECK_LENGTH } from './checked-value.js'
import { StoreCorruptError } from './store-errors.js'

/** A small value that belongs to no stream, as JSON behind a checksum over name and content. */
export function encodeSingle(name: string, value: unknown): Buffer {
  const text = Buffer.from(JSON.stringify(value))
  const bytes = Buffer.allocUnsafe(CHECK_LENGTH + text.length)
  bytes.set(text, CHECK_LENGTH)
  bytes.writeUInt32LE(crc32(text, crc32(name)), 0)
  return bytes
}

/** @throws StoreCorruptError */
export function decodeSingle(name: string, bytes: Buffer): unknown {
  const text = bytes.subarray(CHECK_LENGTH)
  if (bytes.length < CHECK_LENGTH || bytes.readUInt32LE(0) !== crc32(text, crc32(name))) {
    throw new StoreCorruptError(`the stored value '${name}' is damaged; restore the data directory from a backup`)
  }
  return JSON.parse(text.toString()) as unknown
}
