import { deflateRaw, deflateRawSync, inflateRaw, inflateRawSync } from 'node:zlib'
import { promisify } from 'node:util'
import { ByteReader } from './byte-reader.js'
import { ByteWriter } from './byte-writer.js'
import { HASH_LENGTH } from './chain.js'
import { CorruptRecordError } from './corrupt-record.js'
import { parseForeignLines } from './foreign-lines.js'
import { chainParts, FOREIGN_LIMITS, MAX_FOREIGN_BYTES, type ForeignPart, type ForeignParts } from './foreign-parts.js'
import { lineCount, payloadBytes, type Lines } from './lines.js'
import { malformed, type Malformed } from './replica-outcome.js'
import { decodeHead, encodeHead, faultOfHead, lamportBound, SIGNATURE_LENGTH, type SignedHead } from './signed-head.js'

/**
 * Commit parts of one block in a form that travels: chained from `previousHash` they end in a head that their owner has
 * signed, so they can be believed whoever passes them on, and before what lies in front of them is known.
 */
export interface CommitRun {
  /** Offset of the first event; not before the block that the head names. */
  readonly from: number
  /** Chain before it. */
  readonly previousHash: Buffer
  /** Events of each commit part. */
  readonly counts: readonly number[]
  /** All lines, see `core/event-line.ts`. */
  readonly lines: Buffer
  /** At the end of the last part. */
  readonly head: SignedHead
  /** The owner's signature of the block, if the run completes one and it is known already. */
  readonly blockSignature?: Buffer | undefined
}

const FORMAT = 1
const CODEC_STORED = 0
const CODEC_DEFLATE = 1

/** Lines shorter than this hardly shrink; longer than that zlib's threads work on them: going there and back takes its time. Bytes. */
const MIN_DEFLATED_BYTES = 512
const MIN_ASYNC_BYTES = 16 * 1024
/** Lines of a run for which there has to be room while they are checked, bytes. */
const LARGE_BYTES = 1024 * 1024

const deflate = promisify(deflateRaw)
const inflate = promisify(inflateRaw)

/** The run as bytes, lines deflated. */
export async function encodeRun(run: CommitRun): Promise<Buffer> {
  const { lines, blockSignature } = run
  const stored = lines.length < MIN_DEFLATED_BYTES
  const content = stored ? lines : await deflated(lines)
  const writer = new ByteWriter(content.length + 2 * run.counts.length + 512)
  writer.u8(FORMAT)
  writer.sized(encodeHead(run.head))
  writer.varint(run.from)
  writer.bytes(run.previousHash)
  writer.varint(run.counts.length)
  for (const count of run.counts) writer.varint(count)
  writer.sized(blockSignature ?? Buffer.alloc(0))
  writer.u8(stored ? CODEC_STORED : CODEC_DEFLATE)
  writer.varint(lines.length)
  writer.bytes(content)
  return writer.finish()
}

/** Lines are alike: more effort gains little. They shrink to an eighth, so a quarter of room takes one chunk nearly always. */
function deflated(lines: Buffer): Buffer | Promise<Buffer> {
  const options = { level: 1, chunkSize: Math.max(1024, lines.length >> 2) }
  return lines.length < MIN_ASYNC_BYTES ? deflateRawSync(lines, options) : deflate(lines, options)
}

/** @returns `undefined` for bytes that are no run; what it says is not checked, see {@link verifyRun} */
export async function decodeRun(bytes: Uint8Array): Promise<CommitRun | undefined> {
  const packed = unpack(bytes)
  return packed === undefined ? undefined : inflateRun(packed)
}

/** A run as it travels: its lines may be deflated. */
interface PackedRun extends Omit<CommitRun, 'lines'> {
  readonly deflated: boolean
  /** Bytes of the lines, as the sender says. */
  readonly length: number
  readonly content: Buffer
}

function unpack(bytes: Uint8Array): PackedRun | undefined {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const reader = new ByteReader(view, 0, { stream: '', offset: 0, part: 'commit run' })
  try {
    if (reader.u8() !== FORMAT) return undefined
    const head = decodeHead(reader.sized())
    const from = reader.varint()
    const previousHash = Buffer.from(reader.bytes(HASH_LENGTH))
    const counts = Array.from({ length: reader.count(FOREIGN_LIMITS.maxEvents) }, () => reader.varint())
    const signature = Buffer.from(reader.sized())
    const codec = reader.u8()
    const length = reader.count(MAX_FOREIGN_BYTES)
    const content = reader.bytes(reader.remaining)
    const wellFormed = signature.length === 0 || signature.length === SIGNATURE_LENGTH
    if (head === undefined || !wellFormed || (codec !== CODEC_STORED && codec !== CODEC_DEFLATE)) return undefined
    const blockSignature = signature.length === 0 ? undefined : signature
    return { from, previousHash, counts, head, blockSignature, deflated: codec === CODEC_DEFLATE, length, content }
  } catch (error) {
    if (error instanceof CorruptRecordError) return undefined
    throw error
  }
}

async function inflateRun({ deflated, length, content, ...run }: PackedRun): Promise<CommitRun | undefined> {
  const lines = deflated ? await inflateTo(content, length) : Buffer.from(content)
  return lines?.length === length ? { ...run, lines } : undefined
}

/** The head of a run, without looking at the rest; `undefined` when there is none. Its signature is not checked. */
export function headOfRun(bytes: Uint8Array): SignedHead | undefined {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const reader = new ByteReader(view, 0, { stream: '', offset: 0, part: 'commit run' })
  try {
    return reader.u8() === FORMAT ? decodeHead(reader.sized()) : undefined
  } catch (error) {
    if (error instanceof CorruptRecordError) return undefined
    throw error
  }
}

async function inflateTo(content: Buffer, length: number): Promise<Buffer | undefined> {
  try {
    // Room for all of it at once: pieces would be put together, in as much room again.
    const chunkSize = Math.max(64, length + 1)
    const options = { maxOutputLength: length + 1, chunkSize }
    return length < MIN_ASYNC_BYTES ? inflateRawSync(content, options) : await inflate(content, options)
  } catch {
    // Whatever zlib dislikes about it, the sender is wrong.
    return undefined
  }
}

/** Does work on many bytes when there is room for them. */
export type Admission = <T>(bytes: number, work: () => Promise<T>) => Promise<T>

/** A run that was checked: signature, chain, every line. Made by {@link verifyRun} alone. */
export class VerifiedRun implements ForeignParts {
  readonly stream: string
  readonly from: number
  readonly previousHash: Buffer
  readonly blockOffset: number
  readonly parts: readonly ForeignPart[]
  readonly head: SignedHead
  readonly blockSignature: Buffer | undefined
  /** What it takes in memory, about. */
  readonly lineBytes: number

  private constructor(run: CommitRun, parts: readonly ForeignPart[]) {
    this.stream = run.head.stream
    this.from = run.from
    this.previousHash = run.previousHash
    this.blockOffset = run.head.blockOffset
    this.parts = parts
    this.head = run.head
    this.blockSignature = run.blockSignature
    this.lineBytes = run.lines.length
  }

  static async receive(
    topic: string,
    bytes: Uint8Array,
    nowMicros: number,
    within: Admission,
  ): Promise<VerifiedRun | Malformed> {
    const packed = unpack(bytes)
    if (packed === undefined) return malformed('it cannot be read')
    // First of all: nobody but the owner of a stream can make us inflate anything.
    const fault = faultOfHead(topic, packed.head, nowMicros)
    if (fault !== undefined) return malformed(fault)
    const check = async (): Promise<VerifiedRun | Malformed> => {
      const run = await inflateRun(packed)
      return run === undefined ? malformed('it cannot be read') : VerifiedRun.#check(run, nowMicros)
    }
    return packed.length > LARGE_BYTES ? within(packed.length, check) : check()
  }

  static async verify(topic: string, run: CommitRun, nowMicros: number): Promise<VerifiedRun | Malformed> {
    const fault = faultOfForm(run) ?? faultOfHead(topic, run.head, nowMicros)
    return fault === undefined ? VerifiedRun.#check(run, nowMicros) : malformed(fault)
  }

  /** Everything but the signature of the head. */
  static async #check(run: CommitRun, nowMicros: number): Promise<VerifiedRun | Malformed> {
    const fault = faultOfForm(run)
    if (fault !== undefined) return malformed(fault)
    const { head, from, lines: bytes } = run
    try {
      const request = { stream: head.stream, firstOffset: from, bytes, maxLamport: lamportBound(nowMicros) }
      const lines = await parseForeignLines(request)
      const wrong = faultOfLines(lines, run)
      if (wrong !== undefined) return malformed(wrong)
      const parts = chainParts(lines, run.previousHash, run.counts)
      if (parts.at(-1)?.hash.equals(head.hash) !== true) return malformed('its commits do not lead to its head')
      return new VerifiedRun(run, parts)
    } catch (error) {
      if (error instanceof CorruptRecordError) return malformed(error.reason)
      throw error
    }
  }
}

/**
 * Checks all of a run that can be known without the store: to be called before it is passed on or applied.
 *
 * @param nowMicros wall clock, µs since 1970: bounds lamports
 */
export function verifyRun(topic: string, run: CommitRun, nowMicros: number): Promise<VerifiedRun | Malformed> {
  return VerifiedRun.verify(topic, run, nowMicros)
}

/**
 * Reads and checks a run as it came from elsewhere. Nothing is inflated before its head's signature is found right.
 *
 * @param nowMicros wall clock, µs since 1970: bounds lamports
 * @param within does the work on so many bytes of lines when there is room for them
 */
export function receiveRun(
  topic: string,
  bytes: Uint8Array,
  nowMicros: number,
  within: Admission,
): Promise<VerifiedRun | Malformed> {
  return VerifiedRun.receive(topic, bytes, nowMicros, within)
}

function faultOfForm({ from, counts, lines, head }: CommitRun): string | undefined {
  const { nextOffset, blockOffset } = head
  if (lines.length > MAX_FOREIGN_BYTES) return 'it is too large'
  if (nextOffset - blockOffset > FOREIGN_LIMITS.maxEvents) return 'its block has too many events'
  if (from < blockOffset || from >= nextOffset) return 'it does not lie in the block of its head'
  if (counts.some((count) => !(count > 0))) return 'it has an empty commit'
  if (counts.reduce((sum, count) => sum + count, 0) !== nextOffset - from) return 'its commits do not add up'
  return undefined
}

function faultOfLines(lines: Lines, { head, from }: CommitRun): string | undefined {
  if (lineCount(lines) !== head.nextOffset - from) return 'it does not hold as many lines as events'
  if ((lines.lamports.at(-1) ?? 0) + 1 !== head.lamport) return 'its lamports do not lead to its head'
  if (lineCount(lines) > 1 && payloadBytes(lines) > FOREIGN_LIMITS.maxBytes) return 'its block is too large'
  return undefined
}
