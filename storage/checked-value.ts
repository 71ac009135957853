import { crc32 } from 'node:zlib'
import { CorruptRecordError, type RecordPlace } from './corrupt-record.js'

/** Bytes that every checked value begins with: the CRC-32 over its key and everything behind. */
export const CHECK_LENGTH = 4

/** Puts the check into the first four bytes of a value, which its writer left free. Returns the value. */
export function sealValue(key: Uint8Array | string, value: Buffer): Buffer {
  value.writeUInt32LE(checksum(key, value), 0)
  return value
}

/**
 * That the value is the one written under this key, so that neither a flipped bit nor a value in the wrong place passes.
 *
 * @throws CorruptRecordError
 */
export function openValue(key: Uint8Array | string, value: Buffer, place: RecordPlace): Buffer {
  if (value.length < CHECK_LENGTH) throw new CorruptRecordError(place, 'it ends too early')
  if (value.readUInt32LE(0) !== checksum(key, value)) throw new CorruptRecordError(place, 'its checksum is wrong')
  return value
}

/** As {@link openValue}: what stands behind the check, or `undefined` when the value is not the one written there. */
export function openChecked(key: Uint8Array, value: Buffer): Buffer | undefined {
  if (value.length < CHECK_LENGTH || value.readUInt32LE(0) !== checksum(key, value)) return undefined
  return value.subarray(CHECK_LENGTH)
}

function checksum(key: Uint8Array | string, value: Buffer): number {
  return crc32(value.subarray(CHECK_LENGTH), crc32(key))
}
