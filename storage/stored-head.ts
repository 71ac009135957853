import type { StreamId } from '../core/index.js'
import { CHECK_LENGTH, openValue, sealValue } from './checked-value.js'
import { CorruptRecordError } from './corrupt-record.js'
import { decodeHead, encodeHead, type SignedHead } from './signed-head.js'

const ANNOUNCED = 'announced'

/** A signed head as it is stored under (stream, first offset of its block). */
export function encodeStoredHead(head: SignedHead): Buffer {
  return encode(head, head.blockOffset)
}

/** A signed head beyond what is held, as it is stored under its stream. */
export function encodeAnnouncedHead(head: SignedHead): Buffer {
  return encode(head, ANNOUNCED)
}

function encode(head: SignedHead, place: number | typeof ANNOUNCED): Buffer {
  const value = Buffer.concat([Buffer.alloc(CHECK_LENGTH), encodeHead(head)])
  return sealValue(checkKey(head.stream, place), value)
}

/** @throws CorruptRecordError */
export function decodeStoredHead(stream: StreamId, blockOffset: number, value: Buffer): SignedHead {
  return decode(stream, blockOffset, value)
}

/** @throws CorruptRecordError */
export function decodeAnnouncedHead(stream: StreamId, value: Buffer): SignedHead {
  return decode(stream, ANNOUNCED, value)
}

function decode(stream: StreamId, at: number | typeof ANNOUNCED, value: Buffer): SignedHead {
  const place = { stream, offset: at === ANNOUNCED ? 0 : at, part: 'signed head' }
  const head = decodeHead(openValue(checkKey(stream, at), value, place).subarray(CHECK_LENGTH))
  if (head?.stream !== stream) throw new CorruptRecordError(place, 'it cannot be read')
  return head
}

function checkKey(stream: StreamId, place: number | typeof ANNOUNCED): string {
  return `head/${stream}/${String(place)}/`
}
