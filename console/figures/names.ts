import { parseStreamId, type NodeId, type StreamId } from '../../core/index.js'

/** So many characters of a node id tell the nodes of a swarm apart at a glance. */
const SHORT = 8

/** The beginning of a node id. The whole stands where it can be copied. */
export function shortNode(nodeId: NodeId): string {
  return nodeId.slice(0, SHORT)
}

/** What a stream is called, and whose it is. */
export interface StreamWords {
  readonly name: string
  /** `this node`, or the beginning of a node id. */
  readonly owner: string
}

/** @param name where it is known */
export function streamWords(stream: StreamId, ownNode: NodeId | undefined, name?: string | null): StreamWords {
  const { nodeId, number } = parseStreamId(stream)
  return {
    name: name ?? (number === 0 ? 'default' : `stream ${String(number)}`),
    owner: nodeId === ownNode ? 'this node' : shortNode(nodeId),
  }
}

/** `telemetry of this node`. */
export function streamTitle(stream: StreamId, ownNode: NodeId | undefined, name?: string | null): string {
  const words = streamWords(stream, ownNode, name)
  return `${words.name} of ${words.owner}`
}
