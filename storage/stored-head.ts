import type { StreamId } from '../core/index.js'
import { CHECK_LENGTH, openValue, sealValue } from './checked-value.js'
import { CorruptRecordError } from './corrupt-record.js'
import { decodeHead, encodeHead, type SignedHead } from './signed-head.js'

/** A signed head as it is stored under (stream, first offset of its block). */
export function encodeStoredHead(head: SignedHead): Buffer {
  const value = Buffer.concat([Buffer.alloc(CHECK_LENGTH), encodeHead(head)])
  return sealValue(checkKey(head.stream, head.blockOffset), value)
}

/** @throws CorruptRecordError */
export function decodeStoredHead(stream: StreamId, blockOffset: number, value: Buffer): SignedHead {
  const place = { stream, offset: blockOffset, part: 'signed head' }
  const head = decodeHead(openValue(checkKey(stream, blockOffset), value, place).subarray(CHECK_LENGTH))
  if (head?.stream !== stream) throw new CorruptRecordError(place, 'it cannot be read')
  return head
}

function checkKey(stream: StreamId, blockOffset: number): string {
  return `head/${stream}/${String(blockOffset)}/`
}
