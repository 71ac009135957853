import { setImmediate as nextTurn } from 'node:timers/promises'
import { EventBatch } from '../core/index.js'
import type { VerifiedBlock } from './block-transfer.js'
import { otherEvents, twoBlocks, type Contradiction } from './contradiction.js'
import type { WriteStep } from './database.js'
import { endOf, hashAt } from './foreign-parts.js'
import type { Health } from './health.js'
import { malformed, type ApplyOutcome } from './replica-outcome.js'
import type { Sealer } from './sealer.js'
import type { StreamRecord } from './stream-record.js'
import type { StreamState } from './stream-state.js'
import type { StreamTable } from './stream-table.js'
import type { Upkeep } from './upkeep.js'

/** Blocks and bytes of lines written with one sync, as when sealing. */
const MAX_ROUND_BLOCKS = 16
const MAX_ROUND_BYTES = 8 * 1024 * 1024

export interface BlockAdopterOptions {
  readonly streams: StreamTable
  readonly sealer: Sealer
  readonly upkeep: Upkeep
  readonly health: Health
  /** Tells everybody who follows what is committed. */
  readonly publish: (batches: readonly EventBatch[]) => void
}

/** `overlap`: it has to go into the tail, where part of it lies already or what comes before it. */
export type AdoptOutcome = ApplyOutcome | Contradiction | { readonly kind: 'overlap' }

interface Entry {
  readonly state: StreamState
  readonly block: VerifiedBlock
  readonly sealsAreGone: boolean
  readonly resolve: (outcome: AdoptOutcome) => void
  readonly reject: (error: unknown) => void
}

/** Puts whole blocks of replicas straight into the sealed store, several with one sync, between rounds of sealing. */
export class BlockAdopter {
  readonly #options: BlockAdopterOptions
  #waiting: Entry[] = []
  #scheduled = false

  constructor(options: BlockAdopterOptions) {
    this.#options = options
  }

  /**
   * Blocks of one stream are to be given in order; those that follow each other share a write.
   *
   * @param sealsAreGone nobody has the signatures of older blocks: then it has to go behind them into the tail
   */
  adopt(state: StreamState, block: VerifiedBlock, sealsAreGone: boolean): Promise<AdoptOutcome> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ state, block, sealsAreGone, resolve, reject })
      this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#scheduled || this.#waiting.length === 0) return
    this.#scheduled = true
    this.#options.upkeep
      .exclusively(() => this.#round())
      .catch((error: unknown) => {
        for (const { reject } of this.#waiting.splice(0)) reject(error)
      })
  }

  /** One write; sealing gets its turn before the next one. */
  async #round(): Promise<void> {
    const [first] = this.#waiting
    if (first !== undefined) {
      const entries = this.#take(first.state)
      try {
        await this.#adoptRun(first.state, entries)
      } catch (error) {
        for (const { reject } of entries) reject(error)
      }
    }
    this.#scheduled = false
    this.#schedule()
  }

  /** The oldest entries of a stream, up to the limits of a round. */
  #take(state: StreamState): Entry[] {
    const taken: Entry[] = []
    let bytes = 0
    this.#waiting = this.#waiting.filter((entry) => {
      bytes += entry.state === state ? entry.block.lines.bytes.length : 0
      const fits = taken.length < MAX_ROUND_BLOCKS && (taken.length === 0 || bytes <= MAX_ROUND_BYTES)
      if (entry.state !== state || !fits) return true
      taken.push(entry)
      return false
    })
    return taken
  }

  async #adoptRun(state: StreamState, entries: readonly Entry[]): Promise<void> {
    const { health, upkeep } = this.#options
    const refusal = health.refusal()
    if (refusal !== undefined) throw refusal
    await upkeep.sealNow(state)
    if (state.tailEvents > 0) await upkeep.pruneNow(state)
    // A commit under way into the tail of the stream ends by itself.
    while (state.busy === 'commits') await nextTurn()
    state.busy = 'blocks'
    try {
      const base = await this.#baseFor(state, entries[0]?.block)
      const accepted: Entry[] = []
      let place: Place = { nextOffset: base.sealedEnd, hash: base.sealedHash, nextLamport: base.nextLamport }
      for (const entry of entries) {
        const outcome = outcomeFor(entry, place, base)
        if (outcome === undefined) {
          accepted.push(entry)
          place = placeAfter(entry.block)
        } else entry.resolve(outcome)
      }
      if (accepted.length > 0) await this.#write(state, base, accepted)
    } finally {
      state.busy = undefined
    }
    await upkeep.pruneNow(state)
  }

  /** What the blocks go on from: what is held, or nothing when its owner says that all of it is pruned. */
  async #baseFor(state: StreamState, first: VerifiedBlock | undefined): Promise<StreamRecord> {
    if (first === undefined || first.from <= state.nextOffset || state.prunedByOwner !== first.from) return state.record
    await this.#options.upkeep.pruneNow(state)
    if (state.record.blocks > 0) return state.record
    const { from, previousHash } = first
    return { ...state.record, firstOffset: from, sealedEnd: from, sealedHash: previousHash, nextLamport: 0 }
  }

  async #write(state: StreamState, base: StreamRecord, entries: readonly Entry[]): Promise<void> {
    const { sealer, streams, publish } = this.#options
    const blocks = entries.map(({ block }) => block)
    const restarts = base !== state.record
    const record = await sealer.adopt(state, base, blocks, restarts ? forgetTail(state) : [])
    streams.hearLamport(record.nextLamport)
    state.restart(record)
    if (restarts) state.heads = new Map()
    publish(blocks.map(({ lines }) => new EventBatch(lines)))
    for (const { block, resolve } of entries) resolve({ kind: 'applied', nextOffset: endOf(block) })
  }
}

/** End of what is held, when the blocks before are taken as done. */
interface Place {
  readonly nextOffset: number
  readonly hash: Buffer
  readonly nextLamport: number
}

function placeAfter(block: VerifiedBlock): Place {
  const last = block.parts.at(-1)
  return {
    nextOffset: endOf(block),
    hash: last?.hash ?? block.previousHash,
    nextLamport: (block.lines.lamports.at(-1) ?? 0) + 1,
  }
}

/** Why a block cannot be put behind the place; `undefined` when it can. */
function outcomeFor({ block, state, sealsAreGone }: Entry, place: Place, base: StreamRecord): AdoptOutcome | undefined {
  if (place.nextOffset >= (state.frozen?.offset ?? Infinity)) return { kind: 'frozen' }
  if (endOf(block) <= place.nextOffset) return { kind: 'known' }
  if (base === state.record && state.tailEvents > 0) return outcomeBesideTail(block, state, sealsAreGone)
  if (block.from > place.nextOffset) return { kind: 'gap', nextOffset: place.nextOffset }
  if (block.from < place.nextOffset) {
    if (base === state.record && state.isEmptied && hashAt(block, place.nextOffset)?.equals(place.hash) === true) {
      return { kind: 'known' }
    }
    return twoBlocks(place.nextOffset)
  }
  if (!block.previousHash.equals(place.hash)) return otherEvents(place.nextOffset)
  if ((block.lines.lamports[0] ?? 0) < place.nextLamport) return malformed('its lamports do not rise')
  return undefined
}

function outcomeBesideTail(block: VerifiedBlock, state: StreamState, sealsAreGone: boolean): AdoptOutcome {
  if (block.from < state.tailEnd) return { kind: 'overlap' }
  if (block.from > state.tailEnd) return { kind: 'gap', nextOffset: state.tailEnd }
  // Of another history no signature comes that would fit the tail.
  if (!block.previousHash.equals(state.hash)) return otherEvents(state.tailEnd)
  if (sealsAreGone) return { kind: 'overlap' }
  return { kind: 'unsealed', from: state.tail()[0]?.firstOffset ?? block.from }
}

function forgetTail(state: StreamState): WriteStep[] {
  const heads = [...state.heads.keys()].map((offset) => state.keys.at('head', offset))
  return [...state.tailKeys(state.tail()), ...heads].map((key) => ({ type: 'del', key }))
}
