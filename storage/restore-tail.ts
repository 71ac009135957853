import { CorruptRecordError } from './corrupt-record.js'
import type { StreamState } from './stream-state.js'
import { decodeTailRecord } from './tail-record.js'

/**
 * Puts a record read back from disk behind what the tail holds; its offset must be the one that comes next.
 *
 * @throws CorruptRecordError for one that cannot be read, or that follows something else
 */
export function restoreTail(state: StreamState, offset: number, value: Buffer): void {
  const { stream, open } = state
  const { lines, previousHash, hash, frames, beginsBlock } = decodeTailRecord(stream, offset, value, open.dictionary)
  if (!previousHash.equals(state.hash)) {
    throw new CorruptRecordError({ stream, offset, part: 'tail record' }, 'it does not follow the one before it')
  }
  state.restore({ lines, hash, frames, storedBytes: value.length }, beginsBlock)
}
