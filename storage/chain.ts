import { createHash } from 'node:crypto'
import type { StreamId } from '../core/index.js'
import { lineBytes, lineCount, type Lines } from './lines.js'

/** SHA-256. */
export const HASH_LENGTH = 32

/** What the chain of a stream begins with. */
export function genesisHash(stream: StreamId): Buffer {
  return createHash('sha256').update(`millrace/genesis/1\n${stream}\n`).digest()
}

/**
 * The next link of a stream's chain, over the lines of one commit part (a commit, or what lies of it in one block).
 * The hashed text begins with a domain of its own and says where the part begins and how many events it has, so commit
 * boundaries are as much part of the chain as the events.
 */
export function nextHash(
  previous: Uint8Array,
  lines: Pick<Lines, 'stream' | 'firstOffset' | 'bytes' | 'starts' | 'payloads'>,
): Buffer {
  return createHash('sha256')
    .update(`millrace/commit/1\n${lines.stream}\n${String(lines.firstOffset)}\n${String(lineCount(lines))}\n`)
    .update(previous)
    .update(lineBytes(lines))
    .digest()
}
