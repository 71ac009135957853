import type { EventKey } from '../core/index.js'
import { compareKeys, maxKey, MetaRange, minKey, type Meta } from './metadata.js'

/** Merges the metadata of many values without making a range for each. */
export class MetaCollector {
  /** The only one so far, while there is only one. */
  #single: Meta | undefined
  #from: EventKey | undefined
  #to: EventKey | undefined
  #fromTime = 0
  #toTime = 0

  add(meta: Meta | undefined): void {
    if (meta === undefined || meta === this.#single) return
    const from = minKey(meta)
    const to = maxKey(meta)
    const fromTime = meta instanceof MetaRange ? meta.fromTime : meta.timestamp
    const toTime = meta instanceof MetaRange ? meta.toTime : meta.timestamp
    if (this.#from === undefined || this.#to === undefined) {
      this.#single = meta
      this.#from = from
      this.#to = to
      this.#fromTime = fromTime
      this.#toTime = toTime
      return
    }
    if (this.#single !== undefined && !sameEvent(this.#single, meta)) this.#single = undefined
    if (compareKeys(from, this.#from) < 0) this.#from = from
    if (compareKeys(to, this.#to) > 0) this.#to = to
    if (fromTime < this.#fromTime) this.#fromTime = fromTime
    if (toTime > this.#toTime) this.#toTime = toTime
  }

  get meta(): Meta | undefined {
    if (this.#single !== undefined || this.#from === undefined || this.#to === undefined) return this.#single
    return new MetaRange(this.#from, this.#to, this.#fromTime, this.#toTime)
  }
}

function sameEvent(a: Meta, b: Meta): boolean {
  return !(a instanceof MetaRange) && !(b instanceof MetaRange) && compareKeys(a, b) === 0
}
