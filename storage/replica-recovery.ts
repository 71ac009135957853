import type { StreamId } from '../core/index.js'
import { decodeSummary, type BlockSummary } from './block-summary.js'
import { CorruptRecordError } from './corrupt-record.js'
import type { Database, WriteStep } from './database.js'
import { offsetOfKey, StreamKeys } from './keys.js'
import { restoreTail } from './restore-tail.js'
import type { StoreLogger } from './store-options.js'
import { recordAfter, type StreamState } from './stream-state.js'
import { decodeStreamRecord, emptyStreamRecord, encodeStreamRecord, type StreamRecord } from './stream-record.js'

export interface ReplicaRecoveryOptions {
  readonly meta: Database
  readonly logger: StoreLogger
}

/** Entries read at once, and keys deleted in one write. */
const PAGE = 1000

/**
 * Reads the tails of replicas. What is damaged, missing or torn is cut off with all that follows it: their owners or
 * others still have it, so it is no reason to stop.
 */
export class ReplicaTails {
  readonly #options: ReplicaRecoveryOptions
  /** Keys of records that are of no use. */
  #cut: Buffer[] = []
  /** Streams of which the rest is cut. */
  readonly #ended = new Set<StreamState>()

  constructor(options: ReplicaRecoveryOptions) {
    this.#options = options
  }

  /** The records of a stream are to come in order. */
  async read(state: StreamState, key: Buffer, value: Buffer): Promise<StreamState> {
    const offset = offsetOfKey(key)
    if (offset < state.record.sealedEnd) this.#cut.push(key)
    else if (this.#ended.has(state) || !this.#restore(state, offset, value)) {
      this.#ended.add(state)
      this.#cut.push(key)
    }
    if (this.#cut.length >= PAGE) await this.end()
    return state
  }

  #restore(state: StreamState, offset: number, value: Buffer): boolean {
    const { stream } = state
    const place = { stream, offset, part: 'tail record' }
    try {
      if (offset !== state.tailEnd) throw new CorruptRecordError(place, 'records before it are missing')
      restoreTail(state, offset, value)
      return true
    } catch (error) {
      if (!(error instanceof CorruptRecordError)) throw error
      const { logger } = this.#options
      logger.warn({ ...place, err: error }, 'cut a replica back to what is whole; the rest is fetched again')
      return false
    }
  }

  /** Deletes what was cut. */
  async end(): Promise<void> {
    const steps = this.#cut.map((key): WriteStep => ({ type: 'del', key }))
    this.#cut = []
    if (steps.length > 0) await this.#options.meta.write(steps, true)
  }
}

/** The record of a replica; made anew from the index where it is damaged or older than that. */
export async function openReplicaRecord(
  options: ReplicaRecoveryOptions,
  stream: StreamId,
  value: Buffer,
): Promise<StreamRecord> {
  const { meta, logger } = options
  const keys = new StreamKeys(stream)
  try {
    const record = decodeStreamRecord(stream, value)
    const range = { gte: keys.at('block', record.sealedEnd), lt: keys.at('block', Number.MAX_SAFE_INTEGER) }
    if ((await meta.keys({ ...range, limit: 1 })).length === 0) return record
    logger.warn({ stream }, 'the record of a replica is older than its index and is made anew')
  } catch (error) {
    if (!(error instanceof CorruptRecordError)) throw error
    logger.warn({ stream, err: error }, 'the record of a replica is damaged and is made anew')
  }
  return rebuild(options, stream, keys)
}

async function rebuild({ meta }: ReplicaRecoveryOptions, stream: StreamId, keys: StreamKeys): Promise<StreamRecord> {
  let record = emptyStreamRecord(stream)
  const useless: Buffer[] = []
  const all = { gte: keys.at('block', 0), lt: keys.at('block', Number.MAX_SAFE_INTEGER), limit: PAGE }
  for await (const [key, entry] of meta.entries(all)) {
    const block = useless.length === 0 ? openEntry(stream, key, entry) : undefined
    const fits = block !== undefined && (record.blocks === 0 || block.firstOffset === record.sealedEnd)
    if (!fits) useless.push(key)
    else {
      const base = record.blocks === 0 ? { ...record, firstOffset: block.firstOffset } : record
      record = recordAfter(base, [block], block.maxTimestamp)
    }
  }
  const steps = useless.map((key): WriteStep => ({ type: 'del', key }))
  await meta.write([...steps, { type: 'put', key: keys.record, value: encodeStreamRecord(stream, record) }], true)
  return record
}

function openEntry(stream: StreamId, key: Buffer, value: Buffer): BlockSummary | undefined {
  try {
    return decodeSummary(stream, offsetOfKey(key), value)
  } catch (error) {
    if (error instanceof CorruptRecordError) return undefined
    throw error
  }
}
