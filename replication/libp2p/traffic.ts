import type { MultiaddrConnectionTimeline } from '@libp2p/interface'

/** Bytes of one connection so far, all of its streams together. */
export interface Traffic {
  receivedBytes: number
  sentBytes: number
}

/** The traffic of connections. A connection's timeline is the one object that all its layers share. */
export class TrafficBook {
  readonly #traffic = new WeakMap<MultiaddrConnectionTimeline, Traffic>()

  of(timeline: MultiaddrConnectionTimeline): Traffic {
    let traffic = this.#traffic.get(timeline)
    if (traffic === undefined) {
      traffic = { receivedBytes: 0, sentBytes: 0 }
      this.#traffic.set(timeline, traffic)
    }
    return traffic
  }
}
