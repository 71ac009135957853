import { isNodeId, streamIdOf, type OffsetMap, type StreamId } from '../../core/index.js'
import { ApiError } from './errors.js'

/** Bytes of an id. It comes back in a header, and the heads of requests are bounded. */
const MAX_ID_BYTES = 16 * 1024

/** The id of the last message of an answer that has ended by itself: there is nothing to come back for. */
export const ENDED = 'end'

/** The streams of one node, and their part of the id. */
interface NodePart {
  readonly offsets: Map<number, number>
  text: string
}

/**
 * How far an answer has been delivered, as a text short enough to go with every event: streams are grouped by node,
 * `<node id>:0=5,1=7;<node id>:0=3`.
 */
export class ResumePoint {
  readonly #nodes = new Map<string, NodePart>()
  #length = 0

  /** @param reached what the asker had already */
  constructor(reached: OffsetMap) {
    this.pass(reached)
  }

  /** Everything up to these offsets has been delivered. */
  pass(offsets: Iterable<readonly [StreamId, number]>): void {
    for (const [stream, offset] of offsets) this.passEvent(stream, offset)
  }

  passEvent(stream: StreamId, offset: number): void {
    const dash = stream.lastIndexOf('-')
    const nodeId = stream.slice(0, dash)
    const number = Number(stream.slice(dash + 1))
    let part = this.#nodes.get(nodeId)
    if (part === undefined) this.#nodes.set(nodeId, (part = { offsets: new Map(), text: '' }))
    if (offset <= (part.offsets.get(number) ?? -1)) return
    part.offsets.set(number, offset)
    const streams = [...part.offsets].map(([id, last]) => `${String(id)}=${String(last)}`).join(',')
    const text = `${nodeId}:${streams}`
    this.#length += text.length - part.text.length
    part.text = text
  }

  /** The id; `undefined` when there is nothing to tell yet, or more streams than an id can name. */
  get id(): string | undefined {
    if (this.#nodes.size === 0 || this.#length + this.#nodes.size > MAX_ID_BYTES) return undefined
    return Array.from(this.#nodes.values(), ({ text }) => text).join(';')
  }
}

/**
 * The offsets that an id stands for.
 *
 * @throws ApiError
 */
export function parseResumeId(id: string): OffsetMap {
  const offsets = new Map<StreamId, number>()
  for (const part of id.split(';')) {
    const [nodeId = '', streams = ''] = part.split(':')
    if (!isNodeId(nodeId) || part !== `${nodeId}:${streams}`) throw notOurs()
    for (const text of streams.split(',')) {
      const [, number, offset] = /^([0-9]{1,16})=([0-9]{1,16})$/.exec(text) ?? []
      if (!Number.isSafeInteger(Number(number)) || !Number.isSafeInteger(Number(offset))) throw notOurs()
      offsets.set(streamIdOf(nodeId, Number(number)), Number(offset))
    }
  }
  return offsets
}

function notOurs(): ApiError {
  return new ApiError('ERR_BAD_REQUEST', 'The last event id is none that an answer of this API has given.')
}
