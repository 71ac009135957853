import { createHash } from 'node:crypto'
import type { StreamId } from '../../core/index.js'
import type { ReplicaStatus } from '../../storage/index.js'
import { BUCKET_DIGEST_BYTES, BUCKETS } from '../wire.js'

/** What is compared of a stream: the newest head that is known, and how much is held. */
interface Entry {
  readonly bucket: number
  readonly nextOffset: number
  readonly firstOffset: number
  readonly held: number
  /** First bytes of the hash over all of it. */
  readonly hash: Buffer
}

/** Digests of all that a node knows and holds. */
export interface HeadDigest {
  /** Of each bucket, one after the other. */
  readonly buckets: Buffer
  /** Over all of them. */
  readonly digest: Buffer
}

/**
 * Says in a few bytes what a node knows and holds, so that two nodes find out what to tell each other by comparing: the
 * streams fall into buckets by the hash of their id, and the digest of a bucket is the XOR of the hashes of its
 * streams. Close to the set reconciliation by hash buckets that Cassandra's and Dynamo's Merkle trees do, one level deep.
 */
export class HeadDigester {
  #entries = new Map<StreamId, Entry>()

  digest(streams: readonly ReplicaStatus[]): HeadDigest {
    const entries = new Map<StreamId, Entry>()
    const buckets = Buffer.alloc(BUCKETS * BUCKET_DIGEST_BYTES)
    for (const status of streams) {
      const entry = this.#entryOf(status)
      entries.set(status.stream, entry)
      const at = entry.bucket * BUCKET_DIGEST_BYTES
      for (let byte = 0; byte < BUCKET_DIGEST_BYTES; byte++) {
        buckets.writeUInt8(buckets.readUInt8(at + byte) ^ entry.hash.readUInt8(byte), at + byte)
      }
    }
    this.#entries = entries
    return { buckets, digest: createHash('sha256').update(buckets).digest() }
  }

  /** Hashed anew only when it has changed. */
  #entryOf({ stream, head, nextOffset: held, firstOffset: heldFrom, own }: ReplicaStatus): Entry {
    const nextOffset = own ? held : (head?.nextOffset ?? 0)
    const firstOffset = own ? heldFrom : (head?.firstOffset ?? 0)
    const known = this.#entries.get(stream)
    const same = known?.nextOffset === nextOffset && known.firstOffset === firstOffset && known.held === held
    if (same) return known
    const text = `${stream} ${String(nextOffset)} ${String(firstOffset)} ${String(held)}`
    const hash = createHash('sha256').update(text).digest().subarray(0, BUCKET_DIGEST_BYTES)
    return { bucket: known?.bucket ?? bucketOf(stream), nextOffset, firstOffset, held, hash }
  }
}

export function bucketOf(stream: StreamId): number {
  return createHash('sha256').update(stream).digest().readUInt8(0) % BUCKETS
}

/** One bit for each bucket in which the digests differ. */
export function differingBuckets(one: Uint8Array, other: Uint8Array): Buffer {
  const bits = Buffer.alloc(BUCKETS / 8)
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const at = bucket * BUCKET_DIGEST_BYTES
    const end = at + BUCKET_DIGEST_BYTES
    if (Buffer.compare(one.subarray(at, end), other.subarray(at, end)) === 0) continue
    const byte = bucket >> 3
    bits.writeUInt8(bits.readUInt8(byte) | (1 << (bucket & 7)), byte)
  }
  return bits
}

export function hasBucket(bits: Uint8Array, bucket: number): boolean {
  return ((bits[bucket >> 3] ?? 0) & (1 << (bucket & 7))) !== 0
}
