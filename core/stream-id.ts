import { NODE_ID_LENGTH, decodeBase64 } from './base64.js'
import { MillraceError } from './errors.js'

/** 43 characters: the node's Ed25519 public key in the alphabet of `base64.ts`. String order is byte order. */
export type NodeId = string

/** `<node id>-<stream number in decimal>`. */
export type StreamId = string

/** A stream id taken apart. */
export interface StreamParts {
  readonly nodeId: NodeId
  /** 0 is the default stream. */
  readonly number: number
}

/** The node id that synthetic rows carry: all bits zero. */
export const ZERO_NODE_ID: NodeId = '.'.repeat(NODE_ID_LENGTH)

/** The stream id of rows that stem from no stored event. */
export const ZERO_STREAM_ID: StreamId = `${ZERO_NODE_ID}-0`

/** A stream id from outside has the wrong form. */
export class StreamIdError extends MillraceError {
  readonly code = 'ERR_STREAM_ID_INVALID'
}

export function isNodeId(text: string): boolean {
  return text.length === NODE_ID_LENGTH && decodeBase64(text) !== undefined
}

export function streamIdOf(nodeId: NodeId, number: number): StreamId {
  return `${nodeId}-${String(number)}`
}

/** @throws StreamIdError when the text is no stream id in its one canonical form */
export function parseStreamId(text: string): StreamParts {
  const nodeId = text.slice(0, NODE_ID_LENGTH)
  const digits = text.slice(NODE_ID_LENGTH + 1)
  const number = Number(digits)
  if (
    !isNodeId(nodeId) ||
    text.charAt(NODE_ID_LENGTH) !== '-' ||
    !/^(0|[1-9][0-9]*)$/.test(digits) ||
    !Number.isSafeInteger(number)
  ) {
    throw new StreamIdError(
      `'${text.slice(0, 100)}' is not a stream id: expected <43 characters of ./0-9A-Za-z>-<number>`,
    )
  }
  return { nodeId, number }
}

/** Order of stream ids: bytes of the node id, then the number as a number. */
export function compareStreamIds(a: StreamId, b: StreamId): number {
  if (a === b) return 0
  const nodeA = a.slice(0, NODE_ID_LENGTH)
  const nodeB = b.slice(0, NODE_ID_LENGTH)
  if (nodeA !== nodeB) return nodeA < nodeB ? -1 : 1
  return Number(a.slice(NODE_ID_LENGTH + 1)) - Number(b.slice(NODE_ID_LENGTH + 1))
}
