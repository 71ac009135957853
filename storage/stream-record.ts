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
  /** Where it began before the latest prunes, oldest first; of those alone that happened since its tail began. */
  readonly earlierBegins: readonly EarlierBegin[]
}

/** What heads of the time before a prune say. */
export interface EarlierBegin {
  readonly firstOffset: number
  /** How far the stream reached when that was pruned. */
  readonly nextOffset: number
}

/** Version 1 has no earlier begins. */
const VERSION = 2
/** More prunes than that do not happen while a block is open. */
const MAX_EARLIER_BEGINS = 16

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
    earlierBegins: [],
  }
}

/** Remembers where a stream began, before it begins later. @param nextOffset how far it reaches */
export function withEarlierBegin({ earlierBegins, firstOffset, sealedEnd }: StreamRecord, nextOffset: number) {
  const kept = earlierBegins.filter((each) => each.nextOffset > sealedEnd).slice(1 - MAX_EARLIER_BEGINS)
  return [...kept, { firstOffset, nextOffset }]
}

/**
 * What a head says of where its stream begins. The farther a head reaches, the more it says to be pruned, whenever it is
 * signed: who knows the one that reaches farthest knows the most.
 */
export function beginSaidAt({ earlierBegins, firstOffset }: StreamRecord, nextOffset: number): number {
  return earlierBegins.find((each) => nextOffset < each.nextOffset)?.firstOffset ?? firstOffset
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
  writer.varint(record.earlierBegins.length)
  for (const { firstOffset, nextOffset } of record.earlierBegins) {
    writer.varint(firstOffset)
    writer.varint(nextOffset)
  }
  return sealValue(checkKey(stream), writer.finish())
}

/** @throws CorruptRecordError */
export function decodeStreamRecord(stream: StreamId, value: Buffer): StreamRecord {
  const place = { stream, offset: 0, part: 'stream record' }
  const reader = new ByteReader(openValue(checkKey(stream), value, place), CHECK_LENGTH, place)
  const version = reader.u8()
  if (version !== VERSION && version !== 1) reader.fail(`its format ${String(version)} is not known to this version`)
  const record = {
    firstOffset: reader.varint(),
    sealedEnd: reader.varint(),
    sealedHash: reader.bytes(HASH_LENGTH),
    blocks: reader.varint(),
    sealedBlocks: reader.varint(),
    storedBytes: reader.varint(),
    nextLamport: reader.varint(),
    newestTimestamp: reader.f64(),
    earlierBegins: version === 1 ? [] : readEarlierBegins(reader),
  }
  reader.end()
  return record
}

function readEarlierBegins(reader: ByteReader): EarlierBegin[] {
  const count = reader.varint()
  if (count > MAX_EARLIER_BEGINS) reader.fail(`it names ${String(count)} earlier begins`)
  return Array.from({ length: count }, () => ({ firstOffset: reader.varint(), nextOffset: reader.varint() }))
}

function checkKey(stream: StreamId): string {
  return `stream/${stream}/`
}
