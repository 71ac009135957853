import { decodeBase64, encodeBase64, parseStreamId, streamIdOf, type StreamId } from '../core/index.js'

/**
 * Keys of the `meta` database: one byte for the kind, then fixed-width big-endian numbers, so that key order is the
 * order of streams and offsets.
 *
 *     0x01 name                        single values of the node and topic
 *     0x10 stream                      stream record
 *     0x11 stream offset               tail record, by the offset of its first event
 *     0x12 stream offset               summary of a sealed block, by the offset of its first event
 *     0x13 stream offset               summary of a group of blocks, by the offset of its first event
 *     0x14 stream offset               signed head, by the offset of the first event of its block
 *     0x15 stream                      proofs of a fork
 *     0x16 stream offset               signature of a block of a tail, by the offset of its first event
 *     0x17 stream                      signed head beyond what is held, for what it says to be pruned
 *     0x18 arrival                     block that was pruned and whose room is not given back yet
 *     0x20 app 0x00 path               blob
 *     0x30 name                        record of the state, named by those who keep it
 */
export const KIND = {
  single: 0x01,
  stream: 0x10,
  tail: 0x11,
  block: 0x12,
  group: 0x13,
  head: 0x14,
  fork: 0x15,
  seal: 0x16,
  announced: 0x17,
  freed: 0x18,
  blob: 0x20,
  state: 0x30,
} as const

/** Kinds of keys that carry a stream and an offset. */
export type StreamKeyKind = 'tail' | 'block' | 'group' | 'head' | 'seal'

/** Node id 32 bytes, stream number 8 bytes. */
export const STREAM_LENGTH = 40
const NODE_LENGTH = 32

/** Builds the keys of one stream without decoding its id again. */
export class StreamKeys {
  readonly #stream: Buffer

  constructor(stream: StreamId) {
    const { nodeId, number } = parseStreamId(stream)
    this.#stream = Buffer.alloc(STREAM_LENGTH)
    this.#stream.set(decodeBase64(nodeId) ?? [])
    this.#stream.writeBigUInt64BE(BigInt(number), NODE_LENGTH)
  }

  get record(): Buffer {
    return Buffer.concat([Buffer.of(KIND.stream), this.#stream])
  }

  get fork(): Buffer {
    return Buffer.concat([Buffer.of(KIND.fork), this.#stream])
  }

  get announced(): Buffer {
    return Buffer.concat([Buffer.of(KIND.announced), this.#stream])
  }

  at(kind: StreamKeyKind, offset: number): Buffer {
    const key = Buffer.allocUnsafe(1 + STREAM_LENGTH + 8)
    key[0] = KIND[kind]
    key.set(this.#stream, 1)
    writeSafeInteger(key, offset, 1 + STREAM_LENGTH)
    return key
  }
}

/** The stream of a key of a kind that carries one. */
export function streamOfKey(key: Buffer): StreamId {
  const node = key.subarray(1, 1 + NODE_LENGTH)
  return streamIdOf(encodeBase64(node), Number(key.readBigUInt64BE(1 + NODE_LENGTH)))
}

/** The offset in a key of a kind that carries one. */
export function offsetOfKey(key: Buffer): number {
  return Number(key.readBigUInt64BE(1 + STREAM_LENGTH))
}

export function singleKey(name: string): Buffer {
  return Buffer.concat([Buffer.of(KIND.single), Buffer.from(name)])
}

export function freedKey(arrival: number): Buffer {
  const key = Buffer.allocUnsafe(9)
  key[0] = KIND.freed
  writeSafeInteger(key, arrival, 1)
  return key
}

export function arrivalOfFreedKey(key: Buffer): number {
  return Number(key.readBigUInt64BE(1))
}

/** The range of all keys of one kind. */
export function kindRange(kind: number): { readonly gte: Buffer; readonly lt: Buffer } {
  return { gte: Buffer.of(kind), lt: Buffer.of(kind + 1) }
}

/** Two 32-bit halves are several times quicker than a BigInt. */
function writeSafeInteger(target: Buffer, value: number, at: number): void {
  target.writeUInt32BE(Math.floor(value / 2 ** 32), at)
  target.writeUInt32BE(value % 2 ** 32, at + 4)
}
