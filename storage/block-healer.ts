import type { Clock } from '../core/index.js'
import { blockKey, verifyBlock } from './block.js'
import type { BlockReader } from './block-reader.js'
import type { BlockSummary } from './block-summary.js'
import { decodeTransfer, verifyTransfer, type VerifiedBlock } from './block-transfer.js'
import type { ChainLookup } from './chain-lookup.js'
import { CorruptRecordError } from './corrupt-record.js'
import type { Counters } from './counters.js'
import type { Damages } from './damages.js'
import type { Database } from './database.js'
import type { Health } from './health.js'
import { lineCount } from './lines.js'
import { malformed, type Malformed } from './replica-outcome.js'
import type { Sealer } from './sealer.js'
import { StoreCorruptError } from './store-errors.js'
import type { StoreLogger } from './store-options.js'
import type { StreamTable } from './stream-table.js'
import type { Upkeep } from './upkeep.js'

/** What became of a block that was to take the place of a damaged one. */
export type HealOutcome =
  | Malformed
  /** Took its place, durably. */
  | { readonly kind: 'healed' }
  /** What is here is whole, or was pruned meanwhile. */
  | { readonly kind: 'whole' }
  /** It is valid, and not the one that was here. */
  | { readonly kind: 'other' }

export interface BlockHealerOptions {
  readonly topic: string
  readonly clock: Clock
  readonly logger: StoreLogger
  readonly blocks: Database
  readonly streams: StreamTable
  readonly chain: ChainLookup
  readonly sealer: Sealer
  readonly upkeep: Upkeep
  readonly health: Health
  readonly counters: Counters
  readonly blockReader: BlockReader
  readonly damages: Damages
}

/**
 * Puts blocks that other nodes have in place of damaged ones, of own streams too. The index says which block has been here: only
 * one with the same hash takes its place, so nothing that was read before changes.
 */
export class BlockHealer {
  readonly #options: BlockHealerOptions

  constructor(options: BlockHealerOptions) {
    this.#options = options
  }

  /**
   * @param bytes of a block in the form that travels
   * @throws what keeps the store from being written or its index from being read
   */
  async heal(bytes: Uint8Array): Promise<HealOutcome> {
    const { topic, clock, upkeep } = this.#options
    const transfer = decodeTransfer(bytes)
    if (transfer === undefined) return malformed('it cannot be read')
    const block = await verifyTransfer(topic, transfer, clock.nowMicros())
    return 'kind' in block ? block : upkeep.exclusively(() => this.#replace(block))
  }

  async #replace(block: VerifiedBlock): Promise<HealOutcome> {
    const { streams, chain, sealer, health, blockReader, counters, damages, logger } = this.#options
    const refusal = health.refusal()
    if (refusal !== undefined) throw refusal
    const { stream, from: offset } = block
    const state = streams.get(stream)
    const held = state === undefined ? undefined : await chain.blockAt(state, offset)
    if (state === undefined || held === undefined || (await this.#isWhole(held))) {
      damages.settle({ stream, offset })
      return { kind: 'whole' }
    }
    if (!isSame(held, block)) return { kind: 'other' }
    await sealer.replace(state, held, block)
    blockReader.forget(held.arrival)
    counters.healedBlocks++
    damages.settle({ stream, offset })
    logger.info({ stream, offset, events: held.count }, 'a damaged block was replaced by that of another node')
    return { kind: 'healed' }
  }

  async #isWhole(summary: BlockSummary): Promise<boolean> {
    const keys = Array.from({ length: summary.parts }, (_, part) => blockKey(summary.arrival, part))
    try {
      verifyBlock(summary, await this.#options.blocks.getMany(keys))
      return true
    } catch (error) {
      if (error instanceof CorruptRecordError || error instanceof StoreCorruptError) return false
      throw error
    }
  }
}

function isSame(held: BlockSummary, { from, previousHash, parts, lines }: VerifiedBlock): boolean {
  const hash = parts.at(-1)?.hash ?? previousHash
  return (
    held.firstOffset === from &&
    held.count === lineCount(lines) &&
    held.previousHash.equals(previousHash) &&
    held.hash.equals(hash)
  )
}
