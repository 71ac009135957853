import type { NodeId, StreamId } from '../../core/index.js'
import { encodeHead, type ReplicaStatus } from '../../storage/index.js'
import type { Transport } from '../transport.js'
import { decodeRequest, encodeAnswer, groupItems, type HeldHead, type SyncAnswer, type SyncRequest } from '../wire.js'
import { bucketOf, hasBucket, type HeadDigester } from './head-digest.js'
import type { LocalStreams } from './local-streams.js'

/** Lines of one message of an answer, about. */
const PIECE_BYTES = 512 * 1024
/** Seals given to one request. */
const MAX_SEALS = 4096
/** Blame for a request that cannot be read: five of them in a row cut the peer. */
const MALFORMED_POINTS = 20

/** Answers what other nodes ask. */
export class Answerer {
  readonly #local: LocalStreams
  readonly #transport: Transport
  readonly #digester: HeadDigester

  constructor(local: LocalStreams, transport: Transport, digester: HeadDigester) {
    this.#local = local
    this.#transport = transport
    this.#digester = digester
  }

  async *answer(peer: NodeId, bytes: Uint8Array, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const request = decodeRequest(bytes)
    if (request === undefined) {
      this.#transport.blame(peer, MALFORMED_POINTS, 'it asks what cannot be read')
      return
    }
    for await (const answer of this.#answers(request)) {
      if (signal.aborted) return
      yield encodeAnswer(answer)
    }
  }

  #answers(request: SyncRequest): AsyncIterable<SyncAnswer> {
    switch (request.kind) {
      case 'compare':
        return once(this.#compare(request.digest))
      case 'heads':
        return this.#heads(request.buckets)
      case 'fetch':
        return this.#fetch(request.stream, request.from, request.to)
      case 'seals':
        return this.#seals(request.stream, request.from, request.limit)
    }
  }

  #compare(theirs: Uint8Array): SyncAnswer {
    const { digest, buckets } = this.#digester.digest(this.#local.shared())
    return digest.equals(theirs) ? { kind: 'same' } : { kind: 'buckets', digests: buckets }
  }

  async *#heads(buckets: Uint8Array): AsyncGenerator<SyncAnswer> {
    const heads: HeldHead[] = []
    for (const status of this.#local.shared()) {
      if (!hasBucket(buckets, bucketOf(status.stream))) continue
      const head = await this.#headOf(status)
      if (head !== undefined) heads.push({ head, held: status.nextOffset })
    }
    for (const group of groupItems(heads, ({ head }) => head.length)) yield { kind: 'heads', heads: group }
  }

  async #headOf({ stream, own, head }: ReplicaStatus): Promise<Uint8Array | undefined> {
    const newest = own ? await this.#local.signHead(stream) : head
    return newest === undefined ? undefined : encodeHead(newest)
  }

  async *#fetch(stream: StreamId, from: number, to: number): AsyncGenerator<SyncAnswer> {
    for (let next = from; next < to && this.#local.isShared(stream);) {
      const piece = await this.#local.read(stream, next, PIECE_BYTES)
      if (piece === undefined) return
      if (piece.kind === 'pruned') {
        yield piece
        return
      }
      if (piece.kind === 'block') {
        yield piece
        next = piece.nextOffset
        continue
      }
      yield { kind: 'run', run: await this.#local.encodeRun(piece.run) }
      next = piece.run.head.nextOffset
    }
  }

  async *#seals(stream: StreamId, from: number, limit: number): AsyncGenerator<SyncAnswer> {
    if (!this.#local.isShared(stream)) return
    const seals = await this.#local.readSeals(stream, from, Math.min(limit, MAX_SEALS))
    if (seals.length > 0) yield { kind: 'seals', seals }
  }
}

async function* once(answer: SyncAnswer): AsyncGenerator<SyncAnswer> {
  yield await Promise.resolve(answer)
}
