import type { StreamId } from '../core/index.js'
import { ByteReader } from './byte-reader.js'
import { ByteWriter } from './byte-writer.js'
import { genesisHash, HASH_LENGTH } from './chain.js'
import { CHECK_LENGTH, openValue, sealValue } from './checked-value.js'

/** What is known about the sealed part of a stream without looking at its index; written when that changes. */
export interface StreamRecord {
  /** Oldest offset that was not pruned. */
  readonly firstOffset: number
  /** Offset after the newest sealed event: where the tail begins. */
  readonly sealedEnd: number
  /** Chain at `sealedEnd`. */
  readonly sealedHash: Buffer
  /** Sealed blocks that were not pruned. */
  readonly blocks: number
  /** Blocks ever sealed. */
  readonly sealedBlocks: number
  /** Stored bytes of the blocks that were not pruned. */
  readonly storedBytes: number
  /** Lamport after the newest sealed event, so that none is used again once all is pruned. */
  readonly nextLamport: number
  /** Timestamp of the newest sealed event, µs. */
  readonly newestTimestamp: number
}

const VERSION = 1

export function emptyStreamRecord(stream: StreamId): StreamRecord {
  return {
    firstOffset: 0,
    sealedEnd: 0,
    sealedHash: genesisHash(stream),
    blocks: 0,
    sealedBlocks: 0,
    storedBytes: 0,
    nextLamport: 0,
    newestTimestamp: 0,
  }
}

export function encodeStreamRecord(stream: StreamId, record: StreamRecord): Buffer {
  const writer = new ByteWriter(128)
  writer.u32(0) // the checksum comes here
  writer.u8(VERSION)
  writer.varint(record.firstOffset)
  writer.varint(record.sealedEnd)
  writer.bytes(record.sealedHash)
  writer.varint(record.blocks)
  writer.varint(record.sealedBlocks)
  writer.varint(record.storedBytes)
  writer.varint(record.nextLamport)
  writer.f64(record.newestTimestamp)
  return sealValue(checkKey(stream), writer.finish())
}

/** @throws CorruptRecordError */
export function decodeStreamRecord(stream: StreamId, value: Buffer): StreamRecord {
  const place = { stream, offset: 0, part: 'stream record' }
  const reader = new ByteReader(openValue(checkKey(stream), value, place), CHECK_LENGTH, place)
  const version = reader.u8()
  if (version !== VERSION) reader.fail(`its format ${String(version)} is not known to this version`)
  const record = {
    firstOffset: reader.varint(),
    sealedEnd: reader.varint(),
    sealedHash: reader.bytes(HASH_LENGTH),
    blocks: reader.varint(),
    sealedBlocks: reader.varint(),
    storedBytes: reader.varint(),
    nextLamport: reader.varint(),
    newestTimestamp: reader.f64(),
  }
  reader.end()
  return record
}

function checkKey(stream: StreamId): string {
  return `stream/${stream}/`
}
