import type { NodeId, StreamId } from '../../core/index.js'
import { decodeHead } from '../../storage/index.js'
import type { Transport } from '../transport.js'
import { decodeAnswer, encodeRequest, type HeldHead, type SyncAnswer, type SyncRequest } from '../wire.js'
import { bucketOf, differingBuckets, hasBucket, type HeadDigester } from './head-digest.js'
import type { HeadIntake } from './head-intake.js'
import type { LocalStreams } from './local-streams.js'
import type { PeerBook, PeerRecord } from './peer-book.js'
import type { SwarmTime } from './swarm-time.js'

/** Peers that are asked in one round; in larger swarms each round asks others. */
const PEERS_PER_ROUND = 8
/** How long a comparison may take, ms. */
const PATIENCE_MS = 60_000
/** Heads taken from one answer. */
const MAX_HEADS = 100_000
/** Blame for an answer that cannot be. */
const MALFORMED_POINTS = 25

export interface ComparerOptions {
  readonly local: LocalStreams
  readonly transport: Transport
  readonly digester: HeadDigester
  readonly peers: PeerBook
  readonly intake: HeadIntake
  readonly time: SwarmTime
}

/** Finds out what peers know and hold that this node does not, and the other way round. */
export class Comparer {
  readonly #options: ComparerOptions
  readonly #underWay = new Map<NodeId, Promise<void>>()
  readonly #closing = new AbortController()
  #next = 0

  constructor(options: ComparerOptions) {
    this.#options = options
  }

  /** Compares with the next few peers. */
  async round(): Promise<void> {
    const peers = this.#options.peers.peers()
    const count = Math.min(peers.length, PEERS_PER_ROUND)
    const chosen = Array.from({ length: count }, (_, at) => peers[(this.#next + at) % peers.length])
    this.#next += count
    await Promise.all(chosen.flatMap((peer) => (peer === undefined ? [] : [this.compare(peer)])))
  }

  /** Compares with one peer. What goes wrong is mended by the next round. */
  compare(peer: NodeId): Promise<void> {
    const running = this.#underWay.get(peer)
    if (running !== undefined) return running
    const comparison = this.#compare(peer)
      // A peer that is busy or gone is asked again in the next round.
      .catch(() => undefined)
      .finally(() => this.#underWay.delete(peer))
    this.#underWay.set(peer, comparison)
    return comparison
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.all(this.#underWay.values())
  }

  async #compare(peer: NodeId): Promise<void> {
    const { local, digester, peers, time } = this.#options
    const record = peers.get(peer)
    if (record === undefined) return
    const streams = local.shared()
    const ours = new Map(streams.map(({ stream, nextOffset }) => [stream, nextOffset]))
    const { digest, buckets } = digester.digest(streams)
    const now = { ms: time.monotonicMs(), micros: time.nowMicros() }
    for await (const answer of this.#ask(peer, { kind: 'compare', digest })) {
      if (answer.kind === 'same') {
        record.compared(ours, () => false, now)
        return
      }
      if (answer.kind !== 'buckets') {
        this.#blame(peer)
        return
      }
      const differing = differingBuckets(buckets, answer.digests)
      const told = await this.#askHeads(peer, record, differing)
      record.compared(ours, (stream) => told.has(stream) || hasBucket(differing, bucketOf(stream)), now)
      return
    }
  }

  async #askHeads(peer: NodeId, record: PeerRecord, buckets: Uint8Array): Promise<ReadonlySet<StreamId>> {
    const told = new Set<StreamId>()
    // Whoever answers as it should tells of each stream once, and of those only that were asked for.
    const isNew = (stream: StreamId): boolean => !told.has(stream) && hasBucket(buckets, bucketOf(stream))
    for await (const answer of this.#ask(peer, { kind: 'heads', buckets })) {
      if (answer.kind !== 'heads') {
        this.#blame(peer)
        break
      }
      for (const item of answer.heads) {
        const stream = told.size < MAX_HEADS ? await this.#take(peer, record, item, isNew) : undefined
        if (stream === undefined) return told
        told.add(stream)
      }
    }
    return told
  }

  /** @returns the stream that was told of, or `undefined` when the answer is not to be read on */
  async #take(
    peer: NodeId,
    record: PeerRecord,
    { head: bytes, held }: HeldHead,
    isExpected: (stream: StreamId) => boolean,
  ): Promise<StreamId | undefined> {
    const { intake, local } = this.#options
    const head = decodeHead(bytes)
    if (head === undefined || !Number.isSafeInteger(held) || !isExpected(head.stream)) {
      this.#blame(peer)
      return undefined
    }
    const { stream } = head
    const outcome = await intake.take(head, peer)
    if (outcome === 'malformed') return undefined
    if (local.status(stream) === undefined) return stream
    record.disappointed(stream)
    record.holds(stream, held)
    return stream
  }

  #blame(peer: NodeId): void {
    this.#options.transport.blame(peer, MALFORMED_POINTS, 'its answers cannot be read')
  }

  async *#ask(peer: NodeId, request: SyncRequest): AsyncGenerator<SyncAnswer> {
    const { transport, time } = this.#options
    const ending = new AbortController()
    const cancel = time.after(PATIENCE_MS, () => {
      ending.abort()
    })
    const signal = AbortSignal.any([ending.signal, this.#closing.signal])
    try {
      for await (const bytes of transport.request(peer, encodeRequest(request), { signal })) {
        const answer = decodeAnswer(bytes)
        if (answer === undefined) {
          this.#blame(peer)
          return
        }
        yield answer
      }
    } finally {
      cancel()
    }
  }
}
