import type { StreamId } from '../core/index.js'
import { readEvents, writeEvents, type EventsSummary } from './block-summary.js'
import { ByteReader } from './byte-reader.js'
import { ByteWriter } from './byte-writer.js'
import { CHECK_LENGTH, openValue, sealValue } from './checked-value.js'
import type { RecordPlace } from './corrupt-record.js'
import { GROUP_LIMITS, mergeFilters } from './name-filter.js'

/** Summaries per group: enough that skipping one saves work, few enough that one can be read when it may match. */
export const GROUP_SIZE = 64

/** Neighbouring blocks (or groups) of one stream taken together, so that a search skips them at once. */
export interface GroupSummary extends EventsSummary {
  readonly blocks: number
}

const VERSION = 1

/** @param parts of one stream, ascending, at least one, without a gap */
export function mergeSummaries(parts: readonly (EventsSummary | GroupSummary)[]): GroupSummary {
  const [first] = parts
  if (first === undefined) throw new RangeError('nothing to merge')
  const sum = (value: (part: EventsSummary | GroupSummary) => number) =>
    parts.reduce((total, part) => total + value(part), 0)
  return {
    stream: first.stream,
    firstOffset: first.firstOffset,
    count: sum(({ count }) => count),
    blocks: sum((part) => ('blocks' in part ? part.blocks : 1)),
    firstLamport: first.firstLamport,
    lastLamport: (parts.at(-1) ?? first).lastLamport,
    minTimestamp: parts.reduce((min, part) => Math.min(min, part.minTimestamp), first.minTimestamp),
    maxTimestamp: parts.reduce((max, part) => Math.max(max, part.maxTimestamp), first.maxTimestamp),
    payloadBytes: sum(({ payloadBytes }) => payloadBytes),
    storedBytes: sum(({ storedBytes }) => storedBytes),
    tags: mergeFilters(
      parts.map(({ tags }) => tags),
      GROUP_LIMITS,
    ),
    apps: mergeFilters(
      parts.map(({ apps }) => apps),
      GROUP_LIMITS,
    ),
  }
}

export function encodeGroup(group: GroupSummary): Buffer {
  const writer = new ByteWriter(512)
  writer.u32(0) // the checksum comes here
  writer.u8(VERSION)
  writer.varint(group.blocks)
  writeEvents(writer, group)
  return sealValue(checkKey(group.stream, group.firstOffset), writer.finish())
}

/** @throws CorruptRecordError */
export function decodeGroup(stream: StreamId, firstOffset: number, value: Buffer): GroupSummary {
  const place: RecordPlace = { stream, offset: firstOffset, part: 'index group' }
  const reader = new ByteReader(openValue(checkKey(stream, firstOffset), value, place), CHECK_LENGTH, place)
  const version = reader.u8()
  if (version !== VERSION) reader.fail(`its format ${String(version)} is not known to this version`)
  const blocks = reader.varint()
  const events = readEvents(reader, stream, firstOffset)
  reader.end()
  return { ...events, blocks }
}

function checkKey(stream: StreamId, firstOffset: number): string {
  return `group/${stream}/${String(firstOffset)}/`
}
