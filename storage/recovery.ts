import type { StreamId } from '../core/index.js'
import type { BlockLimits } from './block-boundaries.js'
import { blockKey, parseBlockKey } from './block.js'
import { CorruptRecordError } from './corrupt-record.js'
import type { Database } from './database.js'
import type { HeadFile } from './head-file.js'
import { KIND, kindRange, offsetOfKey, singleKey, streamOfKey } from './keys.js'
import { restoreTail } from './restore-tail.js'
import { NEXT_ARRIVAL } from './sealer.js'
import { decodeSingle } from './single-value.js'
import type { StoreLogger } from './store-options.js'
import { decodeStreamRecord, emptyStreamRecord, type StreamRecord } from './stream-record.js'
import { StreamState } from './stream-state.js'
import { openReplicaRecord, ReplicaTails } from './replica-recovery.js'
import type { StreamTable } from './stream-table.js'

/** Records read at once. */
const PAGE = 256

export interface RecoveryOptions {
  readonly meta: Database
  readonly blocks: Database
  readonly streams: StreamTable
  readonly head: HeadFile
  readonly limits: BlockLimits
  readonly logger: StoreLogger
}

export interface Recovered {
  /** Number for the next sealed block. */
  readonly nextArrival: number
  /** Sentences for the operator; while there are any, nothing may be appended. */
  readonly problems: readonly string[]
  /** Records that are damaged. */
  readonly corruptRecords: number
}

/**
 * Reads back what the store holds in memory: stream records and tails, whole and checked, and compares it with the head
 * file. Costs as much as the tails are long, however many blocks there are.
 */
export async function recover(options: RecoveryOptions): Promise<Recovered> {
  const recovery = new Recovery(options)
  await recovery.readStreams()
  await recovery.readTails()
  await recovery.findLostIndexEntries()
  recovery.compareHeads()
  const nextArrival = await recovery.dropOrphans()
  return { nextArrival, problems: recovery.problems, corruptRecords: recovery.corruptRecords }
}

class Recovery {
  readonly problems: string[] = []
  corruptRecords = 0
  readonly #options: RecoveryOptions

  constructor(options: RecoveryOptions) {
    this.#options = options
  }

  async readStreams(): Promise<void> {
    for await (const [key, value] of this.#options.meta.entries({ ...kindRange(KIND.stream), limit: PAGE })) {
      const stream = streamOfKey(key)
      const state = new StreamState(stream, await this.#openRecord(stream, value))
      this.#options.streams.add(state)
      this.#raiseLamport(state)
    }
  }

  /** A damaged record leaves a stream of which nothing can be said but that it is damaged; a replica is mended. */
  async #openRecord(stream: StreamId, value: Buffer): Promise<StreamRecord> {
    if (!isOwn(stream, this.#options.streams)) return openReplicaRecord(this.#options, stream, value)
    try {
      return decodeStreamRecord(stream, value)
    } catch (error) {
      this.#damage(stream, error)
      return emptyStreamRecord(stream)
    }
  }

  async readTails(): Promise<void> {
    let state: StreamState | undefined
    let torn: Buffer | undefined
    const replicas = new ReplicaTails(this.#options)
    for await (const [key, value] of this.#options.meta.entries({ ...kindRange(KIND.tail), limit: PAGE })) {
      const stream = streamOfKey(key)
      if (!isOwn(stream, this.#options.streams)) {
        this.#raiseLamport(await replicas.read(this.#stateOf(stream), key, value))
        continue
      }
      if (state?.stream !== stream) {
        if (state !== undefined) await this.#cutTorn(state, torn)
        torn = undefined
        state = this.#stateOf(stream)
      }
      if (torn !== undefined) {
        this.#damage(stream, `the tail record before offset ${String(offsetOfKey(key))} is damaged`)
        torn = undefined
      }
      if (!this.#readRecord(state, offsetOfKey(key), value)) torn = key
      this.#raiseLamport(state)
    }
    if (state !== undefined) await this.#cutTorn(state, torn)
    await replicas.end()
    for (const each of this.#options.streams.all()) if (!each.isReplica) each.closeFull(this.#options.limits)
  }

  /** Returns false for a record that may be an unfinished write: unreadable, in the right place. */
  #readRecord(state: StreamState, offset: number, value: Buffer): boolean {
    const { stream } = state
    if (offset < state.record.sealedEnd) {
      this.#damage(stream, `the tail record at offset ${String(offset)} should have gone when its block was sealed`)
      return true
    }
    state.nextOffset = Math.max(state.nextOffset, offset + 1)
    if (offset !== state.tailEnd) {
      this.#damage(stream, `tail records are missing from offset ${String(state.tailEnd)} to ${String(offset)}`)
      return true
    }
    try {
      restoreTail(state, offset, value)
      return true
    } catch (error) {
      if (!(error instanceof CorruptRecordError)) throw error
      this.#options.logger.warn({ stream, offset, bytes: value.length, err: error }, 'a tail record cannot be read')
      this.corruptRecords++
      return false
    }
  }

  /** An unreadable last record that was never acknowledged is what a crash leaves: it goes. */
  async #cutTorn(state: StreamState, torn: Buffer | undefined): Promise<void> {
    if (torn === undefined) return
    const { meta, head, logger } = this.#options
    const known = head.found.get(state.stream)
    if (known === undefined || known.nextOffset > state.tailEnd) {
      this.#damage(state.stream, `the tail record at offset ${String(state.tailEnd)} is damaged`)
      return
    }
    state.nextOffset = state.tailEnd
    const bytes = (await meta.get(torn))?.length ?? 0
    logger.warn({ stream: state.stream, offset: state.tailEnd, bytes }, 'cut off an unfinished write')
    await meta.write([{ type: 'del', key: torn }], true)
  }

  /** An index entry beyond the stream's record tells that the record is an older one. */
  async findLostIndexEntries(): Promise<void> {
    const { meta, streams } = this.#options
    for (const state of streams.all()) {
      if (!streams.isOwn(state)) continue
      const { record, keys } = state
      const beyond = await meta.keys({
        gte: keys.at('block', record.sealedEnd),
        lt: keys.at('block', Number.MAX_SAFE_INTEGER),
        limit: 1,
      })
      if (beyond.length > 0) this.#damage(state.stream, 'its record is older than its index')
    }
  }

  compareHeads(): void {
    const { head } = this.#options
    for (const [stream, { nextOffset, syncedOffset }] of head.found) {
      if (!isOwn(stream, this.#options.streams)) continue
      const state = this.#stateOf(stream)
      const has = state.tailEnd
      if (has < nextOffset && !head.sameBoot && has >= syncedOffset) {
        const lost = nextOffset - has
        this.#options.logger.warn(
          { stream, lost },
          'events that were acknowledged without being synced were lost with the last boot',
        )
      } else if (has < nextOffset) {
        state.nextOffset = Math.max(state.nextOffset, nextOffset)
        const lost = `${String(nextOffset - has)} acknowledged events from offset ${String(has)} are missing`
        this.#damage(stream, lost)
      }
    }
  }

  /** Blocks that were written when a crash came before their index entries. */
  async dropOrphans(): Promise<number> {
    const { meta, blocks, logger } = this.#options
    const value = await meta.get(singleKey(NEXT_ARRIVAL))
    const next = value === undefined ? 0 : Number(decodeSingle(NEXT_ARRIVAL, value))
    const [last] = await blocks.keys({ gte: blockKey(next, 0), reverse: true, limit: 1 })
    if (last === undefined) return next
    const newest = parseBlockKey(last)?.arrival ?? next
    if (this.problems.length > 0) {
      // With the number in doubt too, they may be all that is left of something.
      logger.warn({ from: next, to: newest }, 'left blocks without index entries in place')
      return newest + 1
    }
    logger.info({ from: next, to: newest }, 'deleting blocks whose sealing was not finished')
    await blocks.clear({ gte: blockKey(next, 0) })
    return next
  }

  #stateOf(stream: StreamId): StreamState {
    const { streams } = this.#options
    let state = streams.get(stream)
    if (state === undefined) {
      state = new StreamState(stream)
      streams.add(state)
    }
    return state
  }

  #raiseLamport(state: StreamState): void {
    this.#options.streams.restoreLamport(state)
  }

  #damage(stream: StreamId, reason: unknown): void {
    const text = reason instanceof Error ? reason.message : String(reason)
    this.#options.logger.error({ stream, reason: text }, 'stored data are damaged')
    const state = this.#stateOf(stream)
    // The first damage of a stream explains those that follow from it.
    if (state.damaged) return
    state.damaged = true
    this.problems.push(
      `stream ${stream}: ${text}; reads of it report the damage, and nothing is published until the data directory is restored`,
    )
  }
}

function isOwn(stream: StreamId, { nodeId }: StreamTable): boolean {
  return stream.startsWith(nodeId)
}
