import { parseStreamId, StreamIdError, type StreamId } from '../core/index.js'
import { blockSigningBytes, readBlockSigningBytes, type BlockIdentity } from './block-header.js'
import { otherEvents, twoBlocks, type Contradiction } from './contradiction.js'
import { CorruptRecordError } from './corrupt-record.js'
import { FOREIGN_LIMITS } from './foreign-parts.js'
import type { SignedStatement } from './fork-proof.js'
import { verifySignature } from './identity.js'
import {
  faultOfHead,
  headSigningBytes,
  readHeadSigningBytes,
  type HeadStatement,
  type SignedHead,
} from './signed-head.js'

/** What the owner of a stream has signed, as it is read from the bytes that its signature covers. */
export type OwnerStatement =
  | { readonly kind: 'head'; readonly stream: StreamId; readonly head: SignedHead }
  | { readonly kind: 'block'; readonly stream: StreamId; readonly block: BlockIdentity; readonly signature: Buffer }

/** @returns `undefined` for bytes that are neither a head nor a block of this topic; what they say is not checked */
export function readStatement(topic: string, { bytes, signature }: SignedStatement): OwnerStatement | undefined {
  const statement =
    attempt(() => readHead(topic, bytes, signature)) ?? attempt(() => readBlock(topic, bytes, signature))
  return statement !== undefined && isStreamId(statement.stream) ? statement : undefined
}

/** Why a statement is not to be believed; `undefined` when all of it is in order, the signature too. */
export function faultOfStatement(topic: string, statement: OwnerStatement, nowMicros: number): string | undefined {
  if (statement.kind === 'head') return faultOfHead(topic, statement.head, nowMicros)
  const { stream, block, signature } = statement
  const isGood = verifySignature(parseStreamId(stream).nodeId, blockSigningBytes(topic, block), signature)
  return isGood ? undefined : 'its signature is wrong'
}

/** What shows that two statements about one stream cannot both be true; they may be untrue together without showing it. */
export function contradictionBetween(one: OwnerStatement, other: OwnerStatement): Contradiction | undefined {
  if (one.stream !== other.stream) return undefined
  if (one.kind === 'block')
    return other.kind === 'block' ? ofBlocks(one.block, other.block) : ofBoth(other.head, one.block)
  return other.kind === 'block' ? ofBoth(one.head, other.block) : ofHeads(one.head, other.head)
}

function ofHeads(one: HeadStatement, other: HeadStatement): Contradiction | undefined {
  const [lower, higher] = one.nextOffset <= other.nextOffset ? [one, other] : [other, one]
  const offset = lower.nextOffset
  if (offset === higher.nextOffset && !lower.hash.equals(higher.hash)) return otherEvents(offset)
  // Where the newest event's block was pruned, a head says nothing of where it begins.
  const saysBegin = lower.blockOffset < offset && higher.blockOffset < offset
  return saysBegin && lower.blockOffset !== higher.blockOffset ? otherBlocks(offset) : undefined
}

function ofBoth({ nextOffset, blockOffset, hash }: HeadStatement, block: BlockIdentity): Contradiction | undefined {
  const { firstOffset, previousHash } = block
  const end = endOf(block)
  if (nextOffset < firstOffset) return undefined
  if (nextOffset === firstOffset) return hash.equals(previousHash) ? undefined : otherEvents(nextOffset)
  if (nextOffset > end) return blockOffset < end ? otherBlocks(end) : undefined
  if (nextOffset === end && !hash.equals(block.hash)) return otherEvents(end)
  if (!endsCommit(block, nextOffset)) {
    const at = String(nextOffset)
    return {
      kind: 'contradiction',
      offset: nextOffset,
      reason: `offset ${at} both ends a commit and lies inside of one`,
    }
  }
  return blockOffset !== nextOffset && blockOffset !== firstOffset ? otherBlocks(nextOffset) : undefined
}

function ofBlocks(one: BlockIdentity, other: BlockIdentity): Contradiction | undefined {
  const [lower, higher] = one.firstOffset <= other.firstOffset ? [one, other] : [other, one]
  const end = endOf(lower)
  if (higher.firstOffset > end) return undefined
  if (higher.firstOffset === end) return lower.hash.equals(higher.previousHash) ? undefined : otherEvents(end)
  const isSame =
    lower.firstOffset === higher.firstOffset && lower.count === higher.count && lower.hash.equals(higher.hash)
  return isSame ? undefined : twoBlocks(Math.min(end, endOf(higher)))
}

function otherBlocks(offset: number): Contradiction {
  return { kind: 'contradiction', offset, reason: `the blocks before offset ${String(offset)} end at different places` }
}

function endOf({ firstOffset, count }: BlockIdentity): number {
  return firstOffset + count
}

function endsCommit({ firstOffset, commits }: BlockIdentity, offset: number): boolean {
  let end = firstOffset
  for (const count of commits) {
    if (end >= offset) break
    end += count
  }
  return end === offset
}

/** Signatures are of the one way to write a thing, so no other way is read. */
function readHead(topic: string, bytes: Buffer, signature: Buffer): OwnerStatement | undefined {
  const statement = readHeadSigningBytes(topic, bytes)
  if (!headSigningBytes(topic, statement).equals(bytes)) return undefined
  return { kind: 'head', stream: statement.stream, head: { ...statement, signature } }
}

function readBlock(topic: string, bytes: Buffer, signature: Buffer): OwnerStatement | undefined {
  const block = readBlockSigningBytes(topic, bytes, FOREIGN_LIMITS.maxEvents)
  if (!blockSigningBytes(topic, block).equals(bytes)) return undefined
  return { kind: 'block', stream: block.stream, block, signature }
}

function attempt(read: () => OwnerStatement | undefined): OwnerStatement | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof CorruptRecordError) return undefined
    throw error
  }
}

function isStreamId(text: string): boolean {
  try {
    parseStreamId(text)
    return true
  } catch (error) {
    if (error instanceof StreamIdError) return false
    throw error
  }
}
