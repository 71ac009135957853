import type { StreamId } from '../core/index.js'
import { isBlockPart } from './block.js'
import type { CorruptRecordError } from './corrupt-record.js'
import type { Health } from './health.js'

/** Places remembered of one stream. */
const MOST_PLACES = 1000

/** What is wrong with a stored value. */
export type DamageKind = 'damaged' | 'missing'

/** A sealed block that cannot be read as it was written. Others may have it. */
export interface DamagedBlock {
  readonly stream: StreamId
  /** Its first one. */
  readonly offset: number
}

interface Place {
  readonly kind: DamageKind
  readonly isBlock: boolean
}

/** Where stored values were found damaged or gone since the store was opened, and are still wanted. */
export class Damages {
  readonly #found = new Map<StreamId, Map<number, Place>>()
  readonly #health: Health

  constructor(health: Health) {
    this.#health = health
  }

  /** @returns whether it was not known yet */
  note({ place: { stream, offset, part }, missing }: CorruptRecordError): boolean {
    const places = this.#found.get(stream) ?? new Map<number, Place>()
    this.#found.set(stream, places)
    const isNew = !places.has(offset)
    if (isNew && places.size >= MOST_PLACES) return false
    places.set(offset, { kind: missing ? 'missing' : 'damaged', isBlock: isBlockPart(part) })
    return isNew
  }

  /** What is wrong with a stream, by the first offset of what is damaged. */
  of(stream: StreamId): ReadonlyMap<number, DamageKind> {
    return new Map([...(this.#found.get(stream) ?? [])].map(([offset, { kind }]) => [offset, kind]))
  }

  blocks(): readonly DamagedBlock[] {
    return [...this.#found].flatMap(([stream, places]) =>
      [...places].flatMap(([offset, { isBlock }]) => (isBlock ? [{ stream, offset }] : [])),
    )
  }

  /** The block is whole, or was pruned. When nothing else of its stream is damaged, the problem is over. */
  settle({ stream, offset }: DamagedBlock): void {
    const places = this.#found.get(stream)
    if (places?.delete(offset) !== true || places.size > 0) return
    this.#found.delete(stream)
    this.#health.clear(`corrupt ${stream}`)
  }
}
