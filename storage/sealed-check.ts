import { parseStreamId } from '../core/index.js'
import {
  blockKey,
  FRAMES_PER_PART,
  framePart,
  HEADER_PART,
  openBlockHeader,
  openFramesValue,
  verifyBlock,
} from './block.js'
import { blockSigningBytes } from './block-header.js'
import { decodeSummary, type BlockSummary } from './block-summary.js'
import { genesisHash } from './chain.js'
import type { CheckContext } from './check-context.js'
import type { CheckFinding } from './check-report.js'
import { CorruptRecordError } from './corrupt-record.js'
import { verifySignature } from './identity.js'
import { offsetOfKey, StreamKeys } from './keys.js'
import { StoreCorruptError } from './store-errors.js'
import type { DamagedPlace, StreamFindings } from './stream-findings.js'
import { decodeStreamRecord, type StreamRecord } from './stream-record.js'

/** Index entries read at once. */
const PAGE = 16

/** A damaged entry, whose end is not known before the next one is met. */
interface Unreadable {
  readonly from: number
  readonly problem: string
}

/** Follows the sealed blocks of one stream from the first to the last, and checks all of each. */
export class SealedCheck {
  readonly #context: CheckContext
  readonly #about: StreamFindings
  readonly #record: StreamRecord
  readonly #keys: StreamKeys
  /** Where the next block has to begin. */
  #next: number
  /** Chain there; `undefined` where it is not known. */
  #hash: Buffer | undefined
  #unreadable: Unreadable | undefined
  blocks = 0
  events = 0
  #storedBytes = 0
  /** Chain at the ends of blocks that somebody asked for. */
  readonly hashes = new Map<number, Buffer>()
  readonly #wanted: ReadonlySet<number>

  /** @param wanted ends of blocks whose chain hashes are to be kept */
  constructor(context: CheckContext, about: StreamFindings, record: StreamRecord, wanted: ReadonlySet<number>) {
    this.#context = context
    this.#about = about
    this.#record = record
    this.#keys = new StreamKeys(about.stream)
    this.#next = record.firstOffset
    this.#hash = record.firstOffset === 0 ? genesisHash(about.stream) : undefined
    this.#wanted = wanted
  }

  /** Tells what is wrong, and of each block that was looked at. */
  async *run(): AsyncGenerator<CheckFinding | 'block'> {
    const { meta, giveWay } = this.#context
    const { sealedEnd } = this.#record
    const range = { gte: this.#keys.at('block', 0), lt: this.#keys.at('block', Number.MAX_SAFE_INTEGER), limit: PAGE }
    for await (const [key, value] of meta.entries(range)) {
      const offset = offsetOfKey(key)
      // Sealed after the check of this stream began.
      if (offset >= sealedEnd && (await this.#recordNow())?.sealedEnd !== sealedEnd) break
      const started = performance.now()
      yield* this.#entry(key, offset, value)
      yield 'block'
      await giveWay(performance.now() - started)
    }
    yield* this.#meet(sealedEnd)
    yield* this.#compareTotals()
  }

  async *#entry(key: Buffer, offset: number, value: Buffer): AsyncGenerator<CheckFinding> {
    const { firstOffset, sealedEnd } = this.#record
    if (offset < firstOffset || offset >= sealedEnd) {
      const problem = 'it lies outside of what the record of the stream says'
      yield this.#about.doubtful({ from: offset, to: offset, part: 'index entry' }, problem)
      return
    }
    let summary: BlockSummary
    try {
      summary = decodeSummary(this.#about.stream, offset, value)
    } catch (error) {
      yield* this.#meet(offset)
      this.#unreadable = { from: offset, problem: reasonOf(error) }
      return
    }
    yield* this.#meet(offset)
    const place = { from: offset, to: offset + summary.count - 1 }
    if (this.#hash !== undefined && !this.#hash.equals(summary.previousHash)) {
      yield this.#about.doubtful({ ...place, part: 'index entry' }, 'its chain does not go on from the block before')
    }
    this.#next = offset + summary.count
    this.#hash = summary.hash
    this.blocks++
    this.events += summary.count
    this.#storedBytes += summary.storedBytes
    this.#context.named.add(summary.arrival)
    if (this.#wanted.has(this.#next)) this.hashes.set(this.#next, summary.hash)
    const found = await this.#checkBlock(summary)
    // A prune takes the entry first, and then the block; where another one was put in its place the entry is another one.
    const isStill = found.length > 0 && (await this.#context.meta.get(key))?.equals(value) === true
    if (isStill) yield* found
  }

  /** What lies between the block before and this offset is missing or unreadable. */
  async *#meet(offset: number): AsyncGenerator<CheckFinding> {
    const unreadable = this.#unreadable
    this.#unreadable = undefined
    if (unreadable !== undefined) {
      if (!(await this.#isPruned(offset))) {
        yield this.#about.lost({ from: unreadable.from, to: offset - 1, part: 'index entry' }, unreadable.problem)
      }
      this.#hash = undefined
    } else if (this.#next < offset) {
      if (!(await this.#isPruned(offset))) {
        yield this.#about.lost({ from: this.#next, to: offset - 1, part: 'index entry' }, 'it is missing')
      }
      this.#hash = undefined
    } else if (this.#next > offset) {
      yield this.#about.doubtful(
        { from: offset, to: this.#next - 1, part: 'index entry' },
        'it overlaps the one before',
      )
      this.#hash = undefined
    }
    this.#next = offset
  }

  async #isPruned(offset: number): Promise<boolean> {
    return ((await this.#recordNow())?.firstOffset ?? 0) >= offset
  }

  async #recordNow(): Promise<StreamRecord | undefined> {
    const value = await this.#context.meta.get(this.#keys.record)
    return value === undefined ? undefined : decodeStreamRecord(this.#about.stream, value)
  }

  async #checkBlock(summary: BlockSummary): Promise<CheckFinding[]> {
    const { stream, firstOffset: from, count, arrival } = summary
    const { nodeId } = parseStreamId(stream)
    const { topic, blocks } = this.#context
    const whole = { from, to: from + count - 1 }
    let values: (Buffer | undefined)[]
    try {
      const keys = Array.from({ length: summary.parts }, (_, part) => blockKey(arrival, part))
      values = await blocks.getMany(keys)
    } catch (error) {
      return [this.#about.lost({ ...whole, part: 'block' }, reasonOf(error))]
    }
    try {
      const header = verifyBlock(summary, values)
      if (verifySignature(nodeId, blockSigningBytes(topic, header), header.signature)) return []
      return [this.#about.doubtful({ ...whole, part: 'block header' }, 'it does not carry the signature of its owner')]
    } catch (error) {
      const lost = lostOf(summary, values)
      const problem = reasonOf(error)
      if (lost.length > 0) return lost.map((place) => this.#about.lost(place.place, place.problem))
      const part = error instanceof CorruptRecordError ? error.place.part : 'block'
      return [this.#about.doubtful({ ...whole, part }, problem)]
    }
  }

  async *#compareTotals(): AsyncGenerator<CheckFinding> {
    const { sealedHash, blocks, storedBytes, firstOffset, sealedEnd } = this.#record
    const now = await this.#recordNow()
    // Pruned meanwhile, or a block replaced, so that the sums are those of another moment.
    if (now?.firstOffset !== firstOffset) return
    if (now.sealedEnd === sealedEnd && now.storedBytes !== storedBytes) return
    const place = { from: firstOffset, to: Math.max(firstOffset, sealedEnd - 1), part: 'stream record' }
    if (this.#hash !== undefined && !this.#hash.equals(sealedHash)) {
      yield this.#about.doubtful(place, 'its chain does not end where that of the blocks does')
    } else if (this.blocks !== blocks || this.#storedBytes !== storedBytes) {
      const found = `${String(this.blocks)} blocks of ${String(this.#storedBytes)} bytes`
      const said = `${String(blocks)} blocks of ${String(storedBytes)} bytes`
      yield this.#about.harmless(place, `the index has ${found} and the record says ${said}`)
    }
  }
}

/** Which events of a damaged block cannot be read: those of damaged frames, or all. */
function lostOf(
  summary: BlockSummary,
  values: readonly (Buffer | undefined)[],
): { readonly place: DamagedPlace; readonly problem: string }[] {
  const { firstOffset: from, count } = summary
  let header
  try {
    header = openBlockHeader(summary, values[HEADER_PART])
  } catch (error) {
    return [{ place: { from, to: from + count - 1, part: 'block header' }, problem: reasonOf(error) }]
  }
  const { lines, count: frames } = header.frames
  const lost = []
  for (let first = 0; first < frames; first += FRAMES_PER_PART) {
    const part = framePart(first)
    try {
      openFramesValue(summary, header, part, values[part])
    } catch (error) {
      const end = Math.min(frames, first + FRAMES_PER_PART)
      const place = { from: from + (lines[first] ?? 0), to: from + (lines[end] ?? 0) - 1 }
      const name = error instanceof CorruptRecordError ? error.place.part : 'block frames'
      lost.push({ place: { ...place, part: name }, problem: reasonOf(error) })
    }
  }
  return lost
}

/** What a value is reported with that cannot be read. Anything else is a fault of the check. */
export function reasonOf(error: unknown): string {
  if (error instanceof CorruptRecordError) return error.reason
  if (error instanceof StoreCorruptError) return error.message
  throw error
}
