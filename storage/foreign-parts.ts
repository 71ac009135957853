import type { StreamId } from '../core/index.js'
import { nextHash } from './chain.js'
import { sliceLines, type Lines } from './lines.js'

/** A commit part whose place in the chain is known. */
export interface ForeignPart {
  readonly lines: Lines
  /** Chain after it. */
  readonly hash: Buffer
}

/** Neighbouring commit parts of one block that their owner has signed. */
export interface ForeignParts {
  readonly stream: StreamId
  /** First offset. */
  readonly from: number
  /** Chain before the first part. */
  readonly previousHash: Buffer
  /** First offset of the block that all of them lie in. */
  readonly blockOffset: number
  /** At least one. */
  readonly parts: readonly ForeignPart[]
}

/**
 * What a block can hold, whatever its owner's settings are: as much as the greatest of them allow. Payload bytes beyond
 * the limit are a single event.
 */
export const FOREIGN_LIMITS = { maxEvents: 65_536, maxBytes: 2 * 1024 * 1024 } as const

/** Bytes of lines taken at once: a block of the greatest event, or of many with long headers, has room. */
export const MAX_FOREIGN_BYTES = 64 * 1024 * 1024

/** Follows the chain over commits of these sizes, which must add up to the lines. */
export function chainParts(lines: Lines, previousHash: Buffer, counts: readonly number[]): ForeignPart[] {
  let hash = previousHash
  let line = 0
  return counts.map((count) => {
    const part = sliceLines(lines, line, line + count)
    hash = nextHash(hash, part)
    line += count
    return { lines: part, hash }
  })
}

/** Offset after the last part. */
export function endOf({ parts, from }: Pick<ForeignParts, 'parts' | 'from'>): number {
  const last = parts.at(-1)
  return last === undefined ? from : last.lines.firstOffset + last.lines.payloads.length
}

/** Chain at an offset; `undefined` inside a part and outside of all. */
export function hashAt(
  { from, previousHash, parts }: Omit<ForeignParts, 'stream' | 'blockOffset'>,
  offset: number,
): Buffer | undefined {
  if (offset === from) return previousHash
  return parts.find(({ lines }) => lines.firstOffset + lines.payloads.length === offset)?.hash
}
