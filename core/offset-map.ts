import { MillraceError } from './errors.js'
import { parseStreamId, type StreamId } from './stream-id.js'

/** Stream id → last included offset. A stream that is absent is not included at all. */
export type OffsetMap = ReadonlyMap<StreamId, number>

/** An offset map from outside holds something that is no offset. */
export class OffsetError extends MillraceError {
  readonly code = 'ERR_OFFSET_INVALID'
}

/**
 * Reads an offset map of the API. -1 means the same as absence and is dropped.
 *
 * @throws OffsetError, StreamIdError
 */
export function parseOffsetMap(value: unknown): OffsetMap {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new OffsetError('expected an object of stream id to offset')
  }
  const map = new Map<StreamId, number>()
  for (const [stream, offset] of Object.entries(value)) {
    parseStreamId(stream)
    if (typeof offset !== 'number' || !Number.isSafeInteger(offset) || offset < -1) {
      throw new OffsetError(`invalid offset for stream ${stream}: expected an integer from -1 to 2^53-1`)
    }
    if (offset >= 0) map.set(stream, offset)
  }
  return map
}

export function offsetMapToJson(map: OffsetMap): Record<StreamId, number> {
  return Object.fromEntries(map)
}
