import { decodeBase64 } from '../core/index.js'
import { MetaRange } from './metadata.js'
import { arrayValue, bytesValue, naturalValue, stringValue, timestampValue, type Value } from './value.js'

/** `KEY(v)`: for each end of the range, lamport, bytes of the node id, stream number, offset. */
export function metaKey({ meta }: Value): Value {
  if (meta === undefined) return arrayValue([], meta)
  const keys = meta instanceof MetaRange ? [meta.from, meta.to] : [meta]
  return arrayValue(
    keys.map((key) => arrayValue([...keyParts(BigInt(key.lamport), key.stream), naturalValue(key.offset)], undefined)),
    meta,
  )
}

/** The parts of an event key literal: no offset. */
export function keyParts(lamport: bigint, stream: string): Value[] {
  const dash = stream.lastIndexOf('-')
  return [
    naturalValue(lamport),
    bytesValue(decodeBase64(stream.slice(0, dash)) ?? new Uint8Array(32)),
    naturalValue(BigInt(stream.slice(dash + 1))),
  ]
}

/** `TIME(v)`. */
export function metaTime({ meta }: Value): Value {
  if (meta === undefined) return arrayValue([], meta)
  const times = meta instanceof MetaRange ? [meta.fromTime, meta.toTime] : [meta.timestamp]
  return arrayValue(
    times.map((time) => timestampValue(time)),
    meta,
  )
}

/** `TAGS(v)`: of a single event only. */
export function metaTags({ meta }: Value): Value {
  if (meta === undefined || meta instanceof MetaRange) return arrayValue([], meta)
  return arrayValue(
    meta.tags.map((tag) => stringValue(tag)),
    meta,
  )
}

/** `APP(v)`: of a single event only. */
export function metaApp({ meta }: Value): Value {
  if (meta === undefined || meta instanceof MetaRange) return arrayValue([], meta)
  return arrayValue([stringValue(meta.appId)], meta)
}
