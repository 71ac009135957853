import type { StreamId } from '../core/index.js'
import { sealTail, type BlockSeal } from './block-seal.js'
import { ByteReader } from './byte-reader.js'
import { ByteWriter } from './byte-writer.js'
import { CHECK_LENGTH, openValue, sealValue } from './checked-value.js'
import { CorruptRecordError } from './corrupt-record.js'
import type { Database, WriteStep } from './database.js'
import { KIND, kindRange, offsetOfKey, streamOfKey } from './keys.js'
import type { StoreLogger } from './store-options.js'
import type { StreamTable } from './stream-table.js'

/** Records read at once. */
const PAGE = 256
const SIGNATURE_LENGTH = 64

/**
 * The signature of a block that still lies in the tail, as it is stored under (stream, first offset of the block). Only of
 * blocks whose end no stored head proves: without it nobody could be given that end if the machine died before the block
 * is sealed.
 */
export function encodeStoredSeal({ stream, firstOffset, nextOffset, signature }: BlockSeal): Buffer {
  const writer = new ByteWriter(96)
  writer.u32(0) // the checksum comes here
  writer.varint(nextOffset)
  writer.bytes(signature)
  return sealValue(checkKey(stream, firstOffset), writer.finish())
}

/** @throws CorruptRecordError */
function decodeStoredSeal(stream: StreamId, firstOffset: number, value: Buffer): BlockSeal {
  const place = { stream, offset: firstOffset, part: 'signature of a block' }
  const reader = new ByteReader(openValue(checkKey(stream, firstOffset), value, place), CHECK_LENGTH, place)
  const seal = { stream, firstOffset, nextOffset: reader.varint(), signature: reader.bytes(SIGNATURE_LENGTH) }
  reader.end()
  return seal
}

/** Gives the blocks of tails their stored signatures; what is damaged or of no use any more is deleted. */
export async function loadSeals(options: {
  readonly meta: Database
  readonly streams: StreamTable
  readonly topic: string
  readonly logger: StoreLogger
}): Promise<void> {
  const { meta, streams, topic, logger } = options
  const useless: WriteStep[] = []
  for await (const [key, value] of meta.entries({ ...kindRange(KIND.seal), limit: PAGE })) {
    const stream = streamOfKey(key)
    const state = streams.get(stream)
    try {
      const seal = decodeStoredSeal(stream, offsetOfKey(key), value)
      const outcome = state?.isReplica === true ? sealTail(state, seal, topic) : undefined
      if (outcome?.kind === 'applied') state?.noteStoredSeal(seal.firstOffset)
      else useless.push({ type: 'del', key })
    } catch (error) {
      if (!(error instanceof CorruptRecordError)) throw error
      logger.warn({ ...error.place, err: error }, 'a signature is damaged; it is asked for again')
      useless.push({ type: 'del', key })
    }
  }
  if (useless.length > 0) await meta.write(useless, false)
}

function checkKey(stream: StreamId, firstOffset: number): string {
  return `seal/${stream}/${String(firstOffset)}/`
}
