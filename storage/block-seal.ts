import { parseStreamId, type StreamId } from '../core/index.js'
import { identifyBlock } from './block.js'
import { blockSigningBytes } from './block-header.js'
import { verifySignature } from './identity.js'
import { malformed, type ApplyOutcome } from './replica-outcome.js'
import type { StreamState } from './stream-state.js'
import type { TailBlock } from './tail-block.js'

/** That its owner has sealed a block, for those that hold its events. */
export interface BlockSeal {
  readonly stream: StreamId
  /** Events [firstOffset, nextOffset). */
  readonly firstOffset: number
  readonly nextOffset: number
  /** Of `blockSigningBytes`, by the owner. */
  readonly signature: Uint8Array
}

/** Notes the signature of a block of the tail, which ends the block if it is still open. */
export function sealTail(state: StreamState, seal: BlockSeal, topic: string): ApplyOutcome {
  const { nextOffset, signature } = seal
  if (nextOffset <= state.record.sealedEnd) return { kind: 'known' }
  if (nextOffset > state.nextOffset) return { kind: 'gap', nextOffset: state.nextOffset }
  const block = blockOf(state, seal)
  if (block === undefined) return malformed('it does not fit the blocks that are held')
  if (block.signature !== undefined) return { kind: 'known' }
  if (!isSignedBy(block, topic, signature)) return malformed('its signature is wrong')
  block.signature = Buffer.from(signature)
  if (block === state.open) state.closeOpen()
  return { kind: 'applied', nextOffset: state.nextOffset }
}

/** Whether it is the signature of a block that lies whole in the tail and has none yet. */
export function fitsTail(state: StreamState, seal: BlockSeal, topic: string): boolean {
  const block = blockOf(state, seal)
  return block !== undefined && block.signature === undefined && isSignedBy(block, topic, seal.signature)
}

function blockOf(state: StreamState, { firstOffset, nextOffset }: BlockSeal): TailBlock | undefined {
  return state.tail().find((each) => each.firstOffset === firstOffset && each.endOffset === nextOffset)
}

function isSignedBy({ previousHash, parts }: TailBlock, topic: string, signature: Uint8Array): boolean {
  const identity = identifyBlock(previousHash, parts)
  return verifySignature(parseStreamId(identity.stream).nodeId, blockSigningBytes(topic, identity), signature)
}
