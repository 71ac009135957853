import type { EventKey, StoredEvent } from '../core/index.js'
import { MetaRange, type Meta } from './metadata.js'
import type { ObjectMember, Value } from './value.js'

const NO_BYTES = new Uint8Array(0)

/** What a value without parts takes in memory, about, in bytes. */
const VALUE_BYTES = 64

/**
 * Copies values so that they no longer hold on to the buffers of the events they come from: one small value would keep a
 * whole batch. Parts that values share are copied once.
 */
export class Detacher {
  /** Bytes that the copies take, about. */
  bytes = 0
  readonly #events = new WeakMap<StoredEvent, StoredEvent>()
  readonly #values = new WeakMap<Value, Value>()

  detach(value: Value): Value {
    const known = this.#values.get(value)
    if (known !== undefined) return known
    this.bytes += VALUE_BYTES
    const copy = { ...this.#copy(value), meta: this.#meta(value.meta) }
    this.#values.set(value, copy)
    return copy
  }

  #copy(value: Value): Value {
    switch (value.kind) {
      case 'json': {
        const { bytes, start, end } = value.data
        this.bytes += end - start
        return { ...value, data: { bytes: Buffer.from(bytes.subarray(start, end)), start: 0, end: end - start } }
      }
      case 'string':
        this.bytes += value.data.length
        return value
      case 'array':
        return { ...value, data: value.data.map((item) => this.detach(item)) }
      case 'object':
        return {
          ...value,
          data: value.data.map((member): ObjectMember => ({ key: member.key, value: this.detach(member.value) })),
        }
      default:
        return value
    }
  }

  #meta(meta: Meta | undefined): Meta | undefined {
    if (meta === undefined) return undefined
    if (!(meta instanceof MetaRange)) return this.#event(meta)
    return new MetaRange(detachKey(meta.from), detachKey(meta.to), meta.fromTime, meta.toTime)
  }

  #event(event: StoredEvent): StoredEvent {
    const known = this.#events.get(event)
    if (known !== undefined) return known
    const { lamport, stream, offset, timestamp, tags, appId } = event
    const copy = { lamport, stream, offset, timestamp, tags, appId, bytes: NO_BYTES, payloadStart: 0, payloadEnd: 0 }
    this.bytes += VALUE_BYTES + tags.reduce((sum, tag) => sum + tag.length, 0)
    this.#events.set(event, copy)
    this.#events.set(copy, copy)
    return copy
  }
}

function detachKey({ lamport, stream, offset }: EventKey): EventKey {
  return { lamport, stream, offset }
}
