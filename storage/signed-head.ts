import { parseStreamId, StreamIdError, type StreamId } from '../core/index.js'
import { ByteReader } from './byte-reader.js'
import { ByteWriter } from './byte-writer.js'
import { HASH_LENGTH } from './chain.js'
import { CorruptRecordError } from './corrupt-record.js'
import { verifySignature } from './identity.js'

/** How far a stream had got, in its owner's words. */
export interface HeadStatement {
  readonly stream: StreamId
  /** Name of the stream at its owner. */
  readonly name: string
  /** Offset after the newest event, at least 1; always the end of a commit part. */
  readonly nextOffset: number
  /** Chain after that event. */
  readonly hash: Buffer
  /** Lamport of that event + 1. */
  readonly lamport: number
  /** Oldest offset that the owner has not pruned. */
  readonly firstOffset: number
  /**
   * First offset of the block that the newest event lies in: what follows from it on up to the head is one block, so that
   * nobody on the way can shift the boundaries. Equals `nextOffset` when that block was pruned.
   */
  readonly blockOffset: number
  /** Wall clock of the owner, µs since 1970. */
  readonly timeMicros: number
}

/** End of a stretch of the chain that can be signed. */
export type Tip = Pick<HeadStatement, 'nextOffset' | 'hash' | 'lamport' | 'blockOffset'>

/** A head that anybody may pass on: the owner's signature makes it true. */
export interface SignedHead extends HeadStatement {
  readonly signature: Buffer
}

/** Lamports beyond this and the clock in µs are refused: one near 2^53 would end publishing on every node for ever. */
const MIN_LAMPORT_BOUND = 2 ** 51

/** Ed25519. */
export const SIGNATURE_LENGTH = 64

const FORMAT = 1
const HEAD_DOMAIN = 'millrace/head/1'

/** Characters of a stream name; configurations allow fewer. */
const MAX_NAME_LENGTH = 256

/** Highest lamport that is taken for honest: no swarm makes a million events a second since 1970. */
export function lamportBound(nowMicros: number): number {
  return Math.max(MIN_LAMPORT_BOUND, nowMicros)
}

/** The canonical bytes that the owner's signature covers. */
export function headSigningBytes(topic: string, head: HeadStatement): Buffer {
  const writer = new ByteWriter(256)
  writer.text(HEAD_DOMAIN)
  writer.text(topic)
  writeStatement(writer, head)
  return writer.finish()
}

/**
 * What such bytes say, nothing of which is checked.
 *
 * @throws CorruptRecordError for other bytes
 */
export function readHeadSigningBytes(topic: string, bytes: Buffer): HeadStatement {
  const reader = new ByteReader(bytes, 0, { stream: '', offset: 0, part: 'signed head' })
  if (reader.text() !== HEAD_DOMAIN || reader.text() !== topic) reader.fail('it is about something else')
  const statement = readStatement(reader)
  reader.end()
  return statement
}

export function encodeHead(head: SignedHead): Buffer {
  const writer = new ByteWriter(256)
  writer.u8(FORMAT)
  writeStatement(writer, head)
  writer.bytes(head.signature)
  return writer.finish()
}

/** @returns `undefined` for bytes that are no head; what it says is not checked, see {@link faultOfHead} */
export function decodeHead(bytes: Uint8Array): SignedHead | undefined {
  const place = { stream: '', offset: 0, part: 'signed head' }
  // Copied: what is kept must not hold on to a whole message.
  const reader = new ByteReader(Buffer.from(bytes), 0, place)
  try {
    if (reader.u8() !== FORMAT) return undefined
    const statement = readStatement(reader)
    const signature = reader.bytes(SIGNATURE_LENGTH)
    reader.end()
    return nodeOf(statement.stream) === undefined ? undefined : { ...statement, signature }
  } catch (error) {
    if (error instanceof CorruptRecordError) return undefined
    throw error
  }
}

/** Why a head is not to be believed; `undefined` when all of it is in order, the signature too. */
export function faultOfHead(topic: string, head: SignedHead, nowMicros: number): string | undefined {
  const { stream, nextOffset, firstOffset, blockOffset, lamport } = head
  const nodeId = nodeOf(stream)
  if (nodeId === undefined) return 'its stream id is malformed'
  if (!isName(head.name)) return 'its stream name is malformed'
  if (head.hash.length !== HASH_LENGTH) return 'its hash is malformed'
  if (nextOffset < 1 || firstOffset > nextOffset || blockOffset > nextOffset) return 'its offsets contradict each other'
  if (lamport < 1 || lamport > lamportBound(nowMicros)) return 'its lamport is beyond what can be'
  if (!verifySignature(nodeId, headSigningBytes(topic, head), head.signature)) return 'its signature is wrong'
  return undefined
}

function nodeOf(stream: StreamId): string | undefined {
  try {
    return parseStreamId(stream).nodeId
  } catch (error) {
    if (error instanceof StreamIdError) return undefined
    throw error
  }
}

function isName(name: string): boolean {
  return name.length > 0 && name.length <= MAX_NAME_LENGTH && !/[^\x20-\x7e]/.test(name)
}

function writeStatement(writer: ByteWriter, head: HeadStatement): void {
  writer.text(head.stream)
  writer.text(head.name)
  writer.varint(head.nextOffset)
  writer.bytes(head.hash)
  writer.varint(head.lamport)
  writer.varint(head.firstOffset)
  writer.varint(head.blockOffset)
  writer.varint(head.timeMicros)
}

function readStatement(reader: ByteReader): HeadStatement {
  return {
    stream: reader.text(),
    name: reader.text(),
    nextOffset: reader.varint(),
    hash: reader.bytes(HASH_LENGTH),
    lamport: reader.varint(),
    firstOffset: reader.varint(),
    blockOffset: reader.varint(),
    timeMicros: reader.varint(),
  }
}
