import { parseStreamId, StreamIdError, type StreamId } from '../core/index.js'
import type { BlockSeal, SignedStatement } from '../storage/index.js'
import { MAX_BROADCAST_BYTES } from './transport.js'
import { WireError, WireReader, WireWriter } from './wire-bytes.js'

/**
 * What nodes say to each other. Runs, heads and blocks are bytes that `storage` makes and checks; they travel as they are,
 * so nothing here has to be believed and nothing is parsed twice.
 */

/** What is broadcast. */
export type LiveMessage =
  /** Commits, as they were made. */
  | { readonly kind: 'run'; readonly run: Uint8Array }
  /** Signed heads, of own streams and of others. */
  | { readonly kind: 'heads'; readonly heads: readonly Uint8Array[] }
  /** A sealed block, when commits were sealed before they could be sent. */
  | { readonly kind: 'block'; readonly bytes: Uint8Array }
  /** That blocks were sealed whose commits were sent before. */
  | { readonly kind: 'seals'; readonly seals: readonly BlockSeal[] }
  /** What the owner of a stream has signed and what cannot all be true. */
  | { readonly kind: 'fork'; readonly statements: readonly SignedStatement[] }

/** Streams fall into so many buckets by the hash of their id; two nodes compare one digest per bucket. */
export const BUCKETS = 256
/** Bytes of the digest of a bucket. */
export const BUCKET_DIGEST_BYTES = 8
/** Bytes of the digest of all buckets. */
export const DIGEST_BYTES = 32
/** Bytes that stand for a head of a stream. */
export const MARK_BYTES = 8

/** What one node asks another. */
export type SyncRequest =
  /** Whether it knows and holds the same as the asking node, whose digest it gets. Answered with `same` or `buckets`. */
  | { readonly kind: 'compare'; readonly digest: Uint8Array }
  /**
   * The signed heads of some buckets, one bit for each, lowest first, but for those that are known already. Answered with
   * `known` when any are, and `heads`.
   */
  | { readonly kind: 'heads'; readonly buckets: Uint8Array; readonly known: readonly KnownHead[] }
  /** What follows in a stream, up to an offset or somewhat more. Answered with `run`, `block`, `pruned`, or nothing. */
  | { readonly kind: 'fetch'; readonly stream: StreamId; readonly from: number; readonly to: number }
  /** Signatures of sealed blocks that end after an offset. Answered with `seals`. */
  | { readonly kind: 'seals'; readonly stream: StreamId; readonly from: number; readonly limit: number }
  /** Which streams have two histories, but for those of these marks, which are known. Answered with a `fork` for each. */
  | { readonly kind: 'forks'; readonly known: readonly Uint8Array[] }

/** The newest head of a stream that the asking node knows, as a mark, and how much of the stream it holds. */
export interface KnownHead {
  readonly mark: Uint8Array
  readonly held: number
}

/** A signed head, and how much of the stream the answering node holds. */
export interface HeldHead {
  readonly head: Uint8Array
  readonly held: number
}

/** One message of an answer. */
export type SyncAnswer =
  | { readonly kind: 'same' }
  /** Digests of all buckets, one after the other. */
  | { readonly kind: 'buckets'; readonly digests: Uint8Array }
  /**
   * Of the heads that the asking node knows: one bit for each of which the same is held, and how much is held of those
   * of which it is more or less. Of all others there is another head here, or none.
   */
  | {
      readonly kind: 'known'
      readonly same: Uint8Array
      readonly held: readonly { readonly at: number; readonly held: number }[]
    }
  | { readonly kind: 'heads'; readonly heads: readonly HeldHead[] }
  | { readonly kind: 'run'; readonly run: Uint8Array }
  /** A sealed block, which may begin before the offset that was asked for. */
  | {
      readonly kind: 'block'
      readonly firstOffset: number
      readonly nextOffset: number
      readonly bytes: Uint8Array
    }
  /** It begins there only later. */
  | { readonly kind: 'pruned'; readonly firstOffset: number }
  | { readonly kind: 'seals'; readonly seals: readonly BlockSeal[] }
  | { readonly kind: 'fork'; readonly statements: readonly SignedStatement[] }

/** Version of everything here. */
const FORMAT = 1
/** First bytes after the version. Never used again for something else. */
const RUN = 1
const HEADS = 2
const FETCH = 3
const SEALS = 4
const BLOCK = 5
const PRUNED = 6
const COMPARE = 7
const SAME = 8
const BUCKET_LIST = 9
const KNOWN = 10
const FORK = 11

/** A stream id: 43 characters, a dash, and a number. */
const MAX_STREAM_BYTES = 64
/** Ed25519. */
const SIGNATURE_BYTES = 64
/** What shows a fork: two statements, or one beside what is held. Both together can be broadcast. */
const MAX_STATEMENTS = 2
/** Longest statement that is told, bytes; that of a head takes some hundred. */
export const MAX_STATEMENT_BYTES = 64 * 1024

export function encodeLive(message: LiveMessage): Buffer {
  switch (message.kind) {
    case 'run':
      return begin(RUN).sized(message.run).finish()
    case 'heads':
      return list(HEADS, message.heads, (writer, head) => writer.sized(head))
    case 'block':
      return begin(BLOCK).sized(message.bytes).finish()
    case 'seals':
      return list(SEALS, message.seals, writeSeal)
    case 'fork':
      return list(FORK, message.statements, writeStatement)
  }
}

/** @returns `undefined` for bytes that are no such message */
export function decodeLive(bytes: Uint8Array): LiveMessage | undefined {
  return decode(bytes, (reader, kind): LiveMessage | undefined => {
    if (kind === RUN) return { kind: 'run', run: reader.sized() }
    if (kind === HEADS) return { kind: 'heads', heads: readList(reader, () => reader.sized()) }
    if (kind === BLOCK) return { kind: 'block', bytes: reader.sized() }
    if (kind === SEALS) return { kind: 'seals', seals: readList(reader, readSeal) }
    if (kind === FORK) return { kind: 'fork', statements: readStatements(reader) }
    return undefined
  })
}

export function encodeRequest(request: SyncRequest): Buffer {
  switch (request.kind) {
    case 'compare':
      return begin(COMPARE).sized(request.digest).finish()
    case 'heads':
      return list(HEADS, request.known, writeKnown, request.buckets)
    case 'fetch':
      return begin(FETCH).text(request.stream).varint(request.from).varint(request.to).finish()
    case 'seals':
      return begin(SEALS).text(request.stream).varint(request.from).varint(request.limit).finish()
    case 'forks':
      return list(FORK, request.known, (writer, mark) => writer.sized(mark))
  }
}

/** @returns `undefined` for bytes that are no request */
export function decodeRequest(bytes: Uint8Array): SyncRequest | undefined {
  return decode(bytes, (reader, kind): SyncRequest | undefined => {
    if (kind === COMPARE) return { kind: 'compare', digest: readExactly(reader, DIGEST_BYTES) }
    if (kind === HEADS) {
      return { kind: 'heads', buckets: readExactly(reader, BUCKETS / 8), known: readList(reader, readKnown) }
    }
    if (kind === FETCH) {
      return { kind: 'fetch', stream: readStream(reader), from: reader.varint(), to: reader.varint() }
    }
    if (kind === SEALS) {
      return { kind: 'seals', stream: readStream(reader), from: reader.varint(), limit: reader.varint() }
    }
    if (kind === FORK) return { kind: 'forks', known: readList(reader, () => readExactly(reader, MARK_BYTES)) }
    return undefined
  })
}

export function encodeAnswer(answer: SyncAnswer): Buffer {
  switch (answer.kind) {
    case 'same':
      return begin(SAME).finish()
    case 'buckets':
      return begin(BUCKET_LIST).sized(answer.digests).finish()
    case 'known':
      return list(KNOWN, answer.held, (writer, { at, held }) => writer.varint(at).varint(held), answer.same)
    case 'heads':
      return list(HEADS, answer.heads, (writer, { head, held }) => writer.sized(head).varint(held))
    case 'run':
      return begin(RUN).sized(answer.run).finish()
    case 'block':
      return begin(BLOCK).varint(answer.firstOffset).varint(answer.nextOffset).sized(answer.bytes).finish()
    case 'pruned':
      return begin(PRUNED).varint(answer.firstOffset).finish()
    case 'seals':
      return list(SEALS, answer.seals, writeSeal)
    case 'fork':
      return list(FORK, answer.statements, writeStatement)
  }
}

/** @returns `undefined` for bytes that are no answer */
export function decodeAnswer(bytes: Uint8Array): SyncAnswer | undefined {
  return decode(bytes, (reader, kind): SyncAnswer | undefined => {
    if (kind === SAME) return { kind: 'same' }
    if (kind === BUCKET_LIST) return { kind: 'buckets', digests: readExactly(reader, BUCKETS * BUCKET_DIGEST_BYTES) }
    if (kind === KNOWN) {
      const same = reader.sized()
      return { kind: 'known', same, held: readList(reader, () => ({ at: reader.varint(), held: reader.varint() })) }
    }
    if (kind === HEADS) {
      return { kind: 'heads', heads: readList(reader, () => ({ head: reader.sized(), held: reader.varint() })) }
    }
    if (kind === RUN) return { kind: 'run', run: reader.sized() }
    if (kind === BLOCK) {
      return { kind: 'block', firstOffset: reader.varint(), nextOffset: reader.varint(), bytes: reader.sized() }
    }
    if (kind === PRUNED) return { kind: 'pruned', firstOffset: reader.varint() }
    if (kind === SEALS) return { kind: 'seals', seals: readList(reader, readSeal) }
    if (kind === FORK) return { kind: 'fork', statements: readStatements(reader) }
    return undefined
  })
}

/** Most that an item of a list takes beside its bytes. */
const ITEM_BYTES = 12
const LIST_BYTES = 16

/** Groups items so that a list of each group is a message that can be broadcast; one that cannot is left out. */
export function* groupItems<T>(items: Iterable<T>, sizeOf: (item: T) => number): Generator<T[]> {
  const room = MAX_BROADCAST_BYTES - LIST_BYTES
  let group: T[] = []
  let bytes = 0
  for (const item of items) {
    const size = sizeOf(item) + ITEM_BYTES
    if (size > room) continue
    if (bytes + size > room) {
      yield group
      group = []
      bytes = 0
    }
    group.push(item)
    bytes += size
  }
  if (group.length > 0) yield group
}

function begin(kind: number): WireWriter {
  return new WireWriter().u8(FORMAT).u8(kind)
}

/** @param before what comes in front of the list */
function list<T>(
  kind: number,
  items: readonly T[],
  write: (writer: WireWriter, item: T) => void,
  before?: Uint8Array,
): Buffer {
  const writer = before === undefined ? begin(kind) : begin(kind).sized(before)
  writer.varint(items.length)
  for (const item of items) write(writer, item)
  return writer.finish()
}

function decode<T>(bytes: Uint8Array, read: (reader: WireReader, kind: number) => T | undefined): T | undefined {
  const reader = new WireReader(bytes)
  try {
    if (reader.u8() !== FORMAT) return undefined
    const message = read(reader, reader.u8())
    if (message !== undefined) reader.end()
    return message
  } catch (error) {
    if (error instanceof WireError || error instanceof StreamIdError) return undefined
    throw error
  }
}

/** As many as there are bytes for: memory follows what was sent, not what was promised. */
function readList<T>(reader: WireReader, read: (reader: WireReader) => T): T[] {
  const count = reader.varint()
  if (count > reader.remaining) throw new WireError('it ends too early')
  return Array.from({ length: count }, () => read(reader))
}

function readExactly(reader: WireReader, length: number): Buffer {
  const bytes = reader.sized()
  if (bytes.length !== length) throw new WireError('it has the wrong length')
  return bytes
}

function writeKnown(writer: WireWriter, { mark, held }: KnownHead): void {
  writer.sized(mark).varint(held)
}

function readKnown(reader: WireReader): KnownHead {
  return { mark: readExactly(reader, MARK_BYTES), held: reader.varint() }
}

function writeSeal(writer: WireWriter, { stream, firstOffset, nextOffset, signature }: BlockSeal): void {
  writer
    .text(stream)
    .varint(firstOffset)
    .varint(nextOffset - firstOffset)
    .sized(signature)
}

function readSeal(reader: WireReader): BlockSeal {
  const stream = readStream(reader)
  const firstOffset = reader.varint()
  const nextOffset = firstOffset + reader.varint()
  // Copied: what is kept must not hold on to a whole message.
  const signature = Buffer.from(readExactly(reader, SIGNATURE_BYTES))
  if (!(nextOffset > firstOffset && Number.isSafeInteger(nextOffset))) throw new WireError('a block is malformed')
  return { stream, firstOffset, nextOffset, signature }
}

function writeStatement(writer: WireWriter, { bytes, signature }: SignedStatement): void {
  writer.sized(bytes).sized(signature)
}

function readStatements(reader: WireReader): SignedStatement[] {
  // Copied: what is kept must not hold on to a whole message.
  const statements = readList(reader, () => ({
    bytes: Buffer.from(readAtMost(reader, MAX_STATEMENT_BYTES)),
    signature: Buffer.from(readExactly(reader, SIGNATURE_BYTES)),
  }))
  if (statements.length === 0 || statements.length > MAX_STATEMENTS) throw new WireError('it has the wrong length')
  return statements
}

function readAtMost(reader: WireReader, length: number): Buffer {
  const bytes = reader.sized()
  if (bytes.length > length) throw new WireError('it is too long')
  return bytes
}

function readStream(reader: WireReader): StreamId {
  const text = reader.text(MAX_STREAM_BYTES)
  parseStreamId(text)
  return text
}
