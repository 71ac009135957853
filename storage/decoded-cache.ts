import type { BlockHeader } from './block-header.js'
import type { PositionIndex } from './position-index.js'

/** What a search needs of a block before it knows which frames to read. */
export interface DecodedBlock {
  readonly header: BlockHeader
  /** Absent until a search asks for tags or app ids. */
  readonly positions: PositionIndex | undefined
  /** Memory that it takes, bytes. */
  readonly cost: number
}

/** Headers and positions of the blocks searched last, within a budget of bytes: the least recently used goes first. */
export class DecodedCache {
  readonly #budget: number
  /** In order of use, by arrival number. */
  readonly #blocks = new Map<number, DecodedBlock>()
  #bytes = 0

  constructor(budgetBytes: number) {
    this.#budget = budgetBytes
  }

  /** Bytes in use, by the costs given. */
  get bytes(): number {
    return this.#bytes
  }

  get(arrival: number): DecodedBlock | undefined {
    const block = this.#blocks.get(arrival)
    if (block !== undefined) {
      this.#blocks.delete(arrival)
      this.#blocks.set(arrival, block)
    }
    return block
  }

  set(arrival: number, block: DecodedBlock): void {
    this.delete(arrival)
    if (block.cost > this.#budget) return
    this.#blocks.set(arrival, block)
    this.#bytes += block.cost
    for (const oldest of this.#blocks.keys()) {
      if (this.#bytes <= this.#budget) break
      this.delete(oldest)
    }
  }

  delete(arrival: number): void {
    this.#bytes -= this.#blocks.get(arrival)?.cost ?? 0
    this.#blocks.delete(arrival)
  }
}
