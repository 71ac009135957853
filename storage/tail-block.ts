import type { BlockFill } from './block-boundaries.js'
import type { BlockPart } from './block.js'
import { dictionaryOf, NO_DICTIONARY } from './frames.js'
import { joinLines, lineBytes, lineCount, payloadBytes, type Lines } from './lines.js'

/** A commit part in memory, and how much of the disk its record takes. */
export interface TailPart extends BlockPart {
  readonly storedBytes: number
}

/** Views that would be at least this many lines are not joined further: copying them costs more than reading two. */
const MAX_JOINED_LINES = 1024

/** Unsealed events that will become one block. Parts are only ever added, so readers may hold on to it. */
export class TailBlock implements BlockFill {
  readonly firstOffset: number
  /** Chain before the first part. */
  readonly previousHash: Buffer
  readonly parts: TailPart[] = []
  /** What the frames of all its parts were deflated behind: the beginning of the first. */
  dictionary: Buffer = NO_DICTIONARY
  events = 0
  payloadBytes = 0
  /** Bytes of lines, which is about what the block takes in memory. */
  lineBytes = 0
  storedBytes = 0
  /** Of a replica: its owner's signature of the block, once it is known. Without it the block is not sealed. */
  signature: Buffer | undefined
  /** Whether the signature has a record of its own. */
  isSealStored = false
  #joined: Lines[] = []
  #joinedParts = 0

  constructor(firstOffset: number, previousHash: Buffer) {
    this.firstOffset = firstOffset
    this.previousHash = previousHash
  }

  get endOffset(): number {
    return this.firstOffset + this.events
  }

  /** Chain after the last part. */
  get hash(): Buffer {
    return this.parts.at(-1)?.hash ?? this.previousHash
  }

  get firstTimestamp(): number | undefined {
    return this.parts[0]?.lines.timestamps[0]
  }

  add(part: TailPart): void {
    if (this.parts.length === 0) this.dictionary = dictionaryOf(part.lines)
    this.parts.push(part)
    this.events += lineCount(part.lines)
    this.payloadBytes += payloadBytes(part.lines)
    this.lineBytes += lineBytes(part.lines).length
    this.storedBytes += part.storedBytes
  }

  /**
   * All lines, ascending, as few pieces as is worth the copying: a tail of a thousand commits of one event would else be
   * read as a thousand batches. Pieces double in size from the newest to the oldest, so each line is copied rarely.
   */
  views(): readonly Lines[] {
    const fresh = this.parts.slice(this.#joinedParts).map(({ lines }) => lines)
    if (fresh.length > 0) {
      this.#joinedParts = this.parts.length
      this.#joined = [...this.#joined, ...joinNeighbours(fresh)]
      this.#joined = settle(this.#joined)
    }
    return this.#joined
  }
}

/** Joins small neighbours up to the limit. */
function joinNeighbours(pieces: readonly Lines[]): Lines[] {
  const joined: Lines[] = []
  let run: Lines[] = []
  let count = 0
  for (const lines of pieces) {
    if (count + lineCount(lines) > MAX_JOINED_LINES && run.length > 0) {
      joined.push(joinLines(run))
      run = []
      count = 0
    }
    run.push(lines)
    count += lineCount(lines)
  }
  if (run.length > 0) joined.push(joinLines(run))
  return joined
}

function settle(pieces: readonly Lines[]): Lines[] {
  const settled = [...pieces]
  for (;;) {
    const last = settled.at(-1)
    const before = settled.at(-2)
    if (last === undefined || before === undefined) return settled
    const count = lineCount(last) + lineCount(before)
    if (lineCount(before) >= 2 * lineCount(last) || count > MAX_JOINED_LINES) return settled
    settled.splice(-2, 2, joinLines([before, last]))
  }
}
