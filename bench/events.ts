/**
 * The events that everything here is measured with: about 200 bytes of payload; one tag on all, one on 10 %, one on 1 %,
 * spread evenly and so that the last two meet on 0.1 %. Made from the number of the event alone.
 */
export interface BenchEvent {
  readonly number: number
  readonly tenth: boolean
  readonly hundredth: boolean
  /** JSON text. */
  readonly payload: string
}

export const TAG_ALL = 'machine'
export const TAG_TENTH = 'quality'
export const TAG_HUNDREDTH = 'alarm'

const STATES = ['running', 'running', 'running', 'setup', 'idle', 'running', 'blocked', 'running'] as const
const PARTS = ['housing-upper', 'housing-lower', 'cover-plate', 'gear-shaft', 'bracket-left', 'bracket-right'] as const

export function benchEvent(number: number): BenchEvent {
  const noise = scramble(number)
  const temperature = (40 + (noise % 4000) / 100).toFixed(2)
  const pressure = (2 + ((noise >>> 7) % 900) / 1000).toFixed(3)
  const speed = 900 + ((noise >>> 11) % 700)
  const order = 4700 + Math.floor(number / 5000)
  const payload =
    `{"n":${String(number)},"machine":"press-${String(number % 24)}","state":"${STATES[noise % 8] ?? ''}",` +
    `"temperature":${temperature},"pressure":${pressure},"speed":${String(speed)},` +
    `"order":"PO-2026-${String(order).padStart(6, '0')}","part":"${PARTS[number % 6] ?? ''}",` +
    `"operator":"op-${String((noise >>> 5) % 40)}","cycle":"${(noise >>> 0).toString(16).padStart(8, '0')}","ok":${String(noise % 50 !== 0)}}`
  return {
    number,
    tenth: (Math.floor(number / 100) + number) % 10 === 0,
    hundredth: number % 100 === 0,
    payload,
  }
}

export function tagsOf(event: BenchEvent): string[] {
  return [TAG_ALL, ...(event.tenth ? [TAG_TENTH] : []), ...(event.hundredth ? [TAG_HUNDREDTH] : [])]
}

/** 32 well-mixed bits of a number. */
function scramble(number: number): number {
  let z = Math.imul(number ^ 0x5bd1e995, 0x9e3779b1)
  z = Math.imul(z ^ (z >>> 15), 0x85ebca6b)
  return (z ^ (z >>> 13)) >>> 0
}

/** Distinct events that a {@link RequestRing} holds at least: repetition must lie outside of what a codec can see. */
const RING_EVENTS = 65_536
const RING_MIN_REQUESTS = 16

/** Finished request bytes by size and number, made once, so that a measurement does not time the making of its input. */
export class RequestRing {
  readonly #make: (events: readonly BenchEvent[]) => Buffer
  readonly #distinct: number
  readonly #requests = new Map<number, Buffer[]>()

  /** @param distinct events at least before the first one comes again; servers that compress need many */
  constructor(make: (events: readonly BenchEvent[]) => Buffer, distinct = RING_EVENTS) {
    this.#make = make
    this.#distinct = distinct
  }

  /** Makes all requests of `count` events. */
  prepare(count: number): void {
    if (this.#requests.has(count)) return
    const slots = Math.max(RING_MIN_REQUESTS, Math.ceil(this.#distinct / count))
    const requests = Array.from({ length: slots }, (_, slot) =>
      this.#make(Array.from({ length: count }, (_, index) => benchEvent(slot * count + index))),
    )
    this.#requests.set(count, requests)
  }

  /** The request that begins with event number `from`, a multiple of `count`. */
  request(from: number, count: number): Buffer {
    this.prepare(count)
    const requests = this.#requests.get(count) ?? []
    const request = requests[(from / count) % requests.length]
    if (request === undefined) throw new Error('requests begin at multiples of their size')
    return request
  }
}
