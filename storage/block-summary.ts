import type { StreamId } from '../core/index.js'
import { ByteReader } from './byte-reader.js'
import { ByteWriter } from './byte-writer.js'
import { HASH_LENGTH } from './chain.js'
import { CHECK_LENGTH, openValue, sealValue } from './checked-value.js'
import type { RecordPlace } from './corrupt-record.js'
import { readFilter, writeFilter, type NameFilter } from './name-filter.js'

/** What is known about the events of a block, or of a group of blocks of one stream, without reading them. */
export interface EventsSummary {
  readonly stream: StreamId
  readonly firstOffset: number
  /** Events, at least one; offsets are consecutive. */
  readonly count: number
  readonly firstLamport: number
  readonly lastLamport: number
  /** µs since 1970; timestamps may fall as offsets rise, so these are not those of the first and last event. */
  readonly minTimestamp: number
  readonly maxTimestamp: number
  /** Bytes of the payloads as text. */
  readonly payloadBytes: number
  /** Bytes of all stored values. */
  readonly storedBytes: number
  readonly tags: NameFilter
  readonly apps: NameFilter
}

/** The index entry of a sealed block. */
export interface BlockSummary extends EventsSummary {
  /** Number under which its values lie in the store of blocks. */
  readonly arrival: number
  /** Stored values: header, positions, frames. */
  readonly parts: number
  /** Chain before its first and after its last event. */
  readonly previousHash: Buffer
  readonly hash: Buffer
}

const VERSION = 1

export function encodeSummary(summary: BlockSummary): Buffer {
  const writer = new ByteWriter(512)
  writer.u32(0) // the checksum comes here
  writer.u8(VERSION)
  writer.varint(summary.arrival)
  writer.varint(summary.parts)
  writer.bytes(summary.previousHash)
  writer.bytes(summary.hash)
  writeEvents(writer, summary)
  return sealValue(checkKey(summary.stream, summary.firstOffset), writer.finish())
}

/** @throws CorruptRecordError */
export function decodeSummary(stream: StreamId, firstOffset: number, value: Buffer): BlockSummary {
  const place: RecordPlace = { stream, offset: firstOffset, part: 'index entry' }
  const reader = new ByteReader(openValue(checkKey(stream, firstOffset), value, place), CHECK_LENGTH, place)
  const version = reader.u8()
  if (version !== VERSION) reader.fail(`its format ${String(version)} is not known to this version`)
  const arrival = reader.varint()
  const parts = reader.varint()
  const previousHash = reader.bytes(HASH_LENGTH)
  const hash = reader.bytes(HASH_LENGTH)
  const events = readEvents(reader, stream, firstOffset)
  reader.end()
  return { ...events, arrival, parts, previousHash, hash }
}

/** Everything but stream and first offset, which are in the key. */
export function writeEvents(writer: ByteWriter, events: EventsSummary): void {
  writer.varint(events.count)
  writer.varint(events.firstLamport)
  writer.varint(events.lastLamport - events.firstLamport)
  writer.f64(events.minTimestamp)
  writer.f64(events.maxTimestamp)
  writer.varint(events.payloadBytes)
  writer.varint(events.storedBytes)
  writeFilter(writer, events.tags)
  writeFilter(writer, events.apps)
}

export function readEvents(reader: ByteReader, stream: StreamId, firstOffset: number): EventsSummary {
  const count = reader.varint()
  const firstLamport = reader.varint()
  return {
    stream,
    firstOffset,
    count,
    firstLamport,
    lastLamport: firstLamport + reader.varint(),
    minTimestamp: reader.f64(),
    maxTimestamp: reader.f64(),
    payloadBytes: reader.varint(),
    storedBytes: reader.varint(),
    tags: readFilter(reader),
    apps: readFilter(reader),
  }
}

function checkKey(stream: StreamId, firstOffset: number): string {
  return `index/${stream}/${String(firstOffset)}/`
}
