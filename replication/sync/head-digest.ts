import { createHash } from 'node:crypto'
import type { StreamId } from '../../core/index.js'
import type { ReplicaStatus } from '../../storage/index.js'
import { BUCKET_DIGEST_BYTES, BUCKETS, MARK_BYTES } from '../wire.js'
import type { LocalStreams } from './local-streams.js'

/**
 * What is compared of a stream: the newest head that is known, how much is held, and whether it has two histories. Never changed once made.
 */
export interface DigestEntry {
  readonly stream: StreamId
  readonly bucket: number
  readonly nextOffset: number
  readonly firstOffset: number
  readonly held: number
  readonly isFrozen: boolean
  /** Chain at the head: two histories can be equally long. */
  readonly chain: Buffer
  /** First bytes of the hash over the head, and over all of it. */
  readonly mark: Buffer
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
 *
 * A comparison costs what has changed since the one before: all streams are looked at only by {@link refresh}.
 */
export class HeadDigester {
  readonly #local: LocalStreams
  readonly #entries = new Map<StreamId, DigestEntry>()
  readonly #members = Array.from({ length: BUCKETS }, () => new Set<StreamId>())
  readonly #buckets = Buffer.alloc(BUCKETS * BUCKET_DIGEST_BYTES)
  #digest: HeadDigest | undefined

  constructor(local: LocalStreams) {
    this.#local = local
    this.refresh(local.shared())
  }

  /** Streams that are compared. */
  get size(): number {
    return this.#entries.size
  }

  /** Looks at all streams: not everything that changes them is told, such as what their owner has pruned. */
  refresh(shared: readonly ReplicaStatus[]): void {
    const left = new Set(this.#entries.keys())
    for (const status of shared) {
      left.delete(status.stream)
      this.#put(status)
    }
    for (const stream of left) this.#remove(stream)
  }

  digest(): HeadDigest {
    this.#catchUp()
    if (this.#digest === undefined) {
      const buckets = Buffer.from(this.#buckets)
      this.#digest = { buckets, digest: createHash('sha256').update(buckets).digest() }
    }
    return this.#digest
  }

  /** What is compared of the streams of some buckets. */
  entriesIn(bits: Uint8Array): readonly DigestEntry[] {
    this.#catchUp()
    return this.#members.flatMap((members, bucket) =>
      hasBit(bits, bucket) ? [...members].flatMap((stream) => this.#entries.get(stream) ?? []) : [],
    )
  }

  #catchUp(): void {
    for (const stream of this.#local.takeChanged()) {
      const status = this.#local.status(stream)
      if (status !== undefined && this.#local.isShared(stream)) this.#put(status)
      else this.#remove(stream)
    }
  }

  /** Hashed anew only when it has changed. */
  #put({ stream, head, nextOffset: held, firstOffset: heldFrom, hash: heldHash, own, frozen }: ReplicaStatus): void {
    const nextOffset = own ? held : (head?.nextOffset ?? 0)
    const firstOffset = own ? heldFrom : (head?.firstOffset ?? 0)
    const chain = own || head === undefined ? heldHash : head.hash
    const known = this.#entries.get(stream)
    const sameHead = known?.nextOffset === nextOffset && known.firstOffset === firstOffset && known.chain.equals(chain)
    const isFrozen = frozen !== undefined
    if (sameHead && known.held === held && known.isFrozen === isFrozen) return
    const text = `${stream} ${String(nextOffset)} ${String(firstOffset)} ${chain.toString('hex')}`
    const bucket = known?.bucket ?? bucketOf(stream)
    const mark = hashOf(text, MARK_BYTES)
    const hash = hashOf(`${text} ${String(held)}${isFrozen ? ' frozen' : ''}`, BUCKET_DIGEST_BYTES)
    if (known !== undefined) this.#toggle(known)
    const entry = { stream, bucket, nextOffset, firstOffset, held, isFrozen, chain, mark, hash }
    this.#toggle(entry)
    this.#entries.set(stream, entry)
    this.#members[bucket]?.add(stream)
  }

  #remove(stream: StreamId): void {
    const known = this.#entries.get(stream)
    if (known === undefined) return
    this.#toggle(known)
    this.#entries.delete(stream)
    this.#members[known.bucket]?.delete(stream)
  }

  /** Puts a stream into the digest of its bucket, or takes it out: the same for XOR. */
  #toggle({ bucket, hash }: DigestEntry): void {
    this.#digest = undefined
    const at = bucket * BUCKET_DIGEST_BYTES
    for (const [byte, value] of hash.entries()) {
      this.#buckets.writeUInt8(this.#buckets.readUInt8(at + byte) ^ value, at + byte)
    }
  }
}

function hashOf(text: string, bytes: number): Buffer {
  // Copied: a view would keep the whole hash.
  return Buffer.from(createHash('sha256').update(text).digest().subarray(0, bytes))
}

export function bucketOf(stream: StreamId): number {
  return createHash('sha256').update(stream).digest().readUInt8(0) % BUCKETS
}

/** One bit for each bucket in which the digests differ, and for each of these in which the other has anything at all. */
export function differingBuckets(one: Uint8Array, other: Uint8Array): { all: Buffer; filled: Buffer } {
  const all = Buffer.alloc(BUCKETS / 8)
  const filled = Buffer.alloc(BUCKETS / 8)
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const at = bucket * BUCKET_DIGEST_BYTES
    const theirs = other.subarray(at, at + BUCKET_DIGEST_BYTES)
    if (Buffer.compare(one.subarray(at, at + BUCKET_DIGEST_BYTES), theirs) === 0) continue
    setBit(all, bucket)
    if (theirs.some((byte) => byte !== 0)) setBit(filled, bucket)
  }
  return { all, filled }
}

export function setBit(bits: Buffer, at: number): void {
  bits.writeUInt8(bits.readUInt8(at >> 3) | (1 << (at & 7)), at >> 3)
}

export function hasBit(bits: Uint8Array, at: number): boolean {
  return ((bits[at >> 3] ?? 0) & (1 << (at & 7))) !== 0
}
