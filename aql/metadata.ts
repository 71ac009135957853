import { compareStreamIds, ZERO_STREAM_ID, type EventKey, type StoredEvent } from '../core/index.js'

/** What a value stems from: one event, or several. Without any it has none (`undefined`). */
export type Meta = StoredEvent | MetaRange

/** The smallest range that covers several events. */
export class MetaRange {
  readonly from: EventKey
  readonly to: EventKey
  /** µs since 1970. */
  readonly fromTime: number
  readonly toTime: number

  constructor(from: EventKey, to: EventKey, fromTime: number, toTime: number) {
    this.from = from
    this.to = to
    this.fromTime = fromTime
    this.toTime = toTime
  }
}

/** None and anything is anything; an event with itself stays that event; everything else becomes a range. */
export function mergeMeta(a: Meta | undefined, b: Meta | undefined): Meta | undefined {
  if (b === undefined || a === b) return a
  if (a === undefined) return b
  if (!(a instanceof MetaRange) && !(b instanceof MetaRange) && compareKeys(a, b) === 0) return a
  const from = minKey(a)
  const otherFrom = minKey(b)
  const to = maxKey(a)
  const otherTo = maxKey(b)
  return new MetaRange(
    compareKeys(otherFrom, from) < 0 ? otherFrom : from,
    compareKeys(otherTo, to) > 0 ? otherTo : to,
    Math.min(minTime(a), minTime(b)),
    Math.max(maxTime(a), maxTime(b)),
  )
}

/** Lamport, then stream, then offset. */
export function compareKeys(a: EventKey, b: EventKey): number {
  if (a.lamport !== b.lamport) return a.lamport - b.lamport
  if (a.stream !== b.stream) return compareStreamIds(a.stream, b.stream)
  return a.offset - b.offset
}

const ZERO_KEY: EventKey = { lamport: 0, stream: ZERO_STREAM_ID, offset: 0 }

/** What stems from no event comes before everything. */
export function minKey(meta: Meta | undefined): EventKey {
  if (meta === undefined) return ZERO_KEY
  return meta instanceof MetaRange ? meta.from : meta
}

export function maxKey(meta: Meta | undefined): EventKey {
  if (meta === undefined) return ZERO_KEY
  return meta instanceof MetaRange ? meta.to : meta
}

function minTime(meta: Meta): number {
  return meta instanceof MetaRange ? meta.fromTime : meta.timestamp
}

function maxTime(meta: Meta): number {
  return meta instanceof MetaRange ? meta.toTime : meta.timestamp
}
