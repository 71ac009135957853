import { ZERO_STREAM_ID, type AppId, type EventKey, type StreamId, type TagSet } from '../core/index.js'
import { MetaRange, type Meta } from './metadata.js'

/** One line of an answer. */
export type Row =
  | { readonly kind: 'event' | 'antiEvent'; readonly meta: RowMeta; /** JSON text. */ readonly payload: string }
  | { readonly kind: 'diagnostic'; readonly severity: 'warning' | 'error'; readonly message: string }

/** What the value of a row stems from. Times in µs since 1970. */
export type RowMeta =
  | {
      readonly kind: 'event'
      readonly lamport: number
      readonly stream: StreamId
      readonly offset: number
      readonly timestamp: number
      readonly tags: TagSet
      readonly appId: AppId
    }
  | {
      readonly kind: 'range'
      readonly from: EventKey
      readonly to: EventKey
      readonly fromTime: number
      readonly toTime: number
    }
  | { readonly kind: 'none' }

const NONE: RowMeta = { kind: 'none' }

/** Members of rows that stem from no single event. */
const SYNTHETIC = `"lamport":0,"stream":"${ZERO_STREAM_ID}","offset":0,"timestamp":0,"tags":[],"appId":"none"`

export function rowMeta(meta: Meta | undefined): RowMeta {
  if (meta === undefined) return NONE
  if (meta instanceof MetaRange) {
    const { from, to, fromTime, toTime } = meta
    return { kind: 'range', from, to, fromTime, toTime }
  }
  const { lamport, stream, offset, timestamp, tags, appId } = meta
  return { kind: 'event', lamport, stream, offset, timestamp, tags, appId }
}

/**
 * The row as one JSON line of the wire, with its line feed.
 *
 * @param extra members to stand before the payload, such as `,"caughtUp":true`
 */
export function renderRow(row: Row, extra = ''): string {
  if (row.kind === 'diagnostic') {
    return `{"type":"diagnostic","severity":"${row.severity}","message":${JSON.stringify(row.message)}}\n`
  }
  return `{"type":"${row.kind}",${renderMeta(row.meta)}${extra},"payload":${row.payload}}\n`
}

function renderMeta(meta: RowMeta): string {
  switch (meta.kind) {
    case 'none':
      return SYNTHETIC
    case 'range':
      return `${SYNTHETIC},"fromKey":${renderKey(meta.from)},"toKey":${renderKey(meta.to)},"fromTime":${String(meta.fromTime)},"toTime":${String(meta.toTime)}`
    case 'event':
      return `"lamport":${String(meta.lamport)},"stream":"${meta.stream}","offset":${String(meta.offset)},"timestamp":${String(meta.timestamp)},"tags":${JSON.stringify(meta.tags)},"appId":"${meta.appId}"`
  }
}

function renderKey({ lamport, stream, offset }: EventKey): string {
  return `{"lamport":${String(lamport)},"stream":"${stream}","offset":${String(offset)}}`
}
