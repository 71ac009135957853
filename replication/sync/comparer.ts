import type { NodeId, StreamId } from '../../core/index.js'
import { decodeHead } from '../../storage/index.js'
import type { Transport } from '../transport.js'
import { decodeAnswer, encodeRequest, type HeldHead, type SyncAnswer, type SyncRequest } from '../wire.js'
import { bucketOf, differingBuckets, hasBit, type DigestEntry, type HeadDigester } from './head-digest.js'
import type { HeadIntake } from './head-intake.js'
import type { LocalStreams } from './local-streams.js'
import type { PeerBook } from './peer-book.js'
import type { SwarmTime } from './swarm-time.js'

/** Peers that are asked in one round; in larger swarms each round asks others. */
const PEERS_PER_ROUND = 8
/** How long a comparison may take, ms. */
const PATIENCE_MS = 60_000
/** Heads taken from one answer. */
const MAX_HEADS = 100_000
/**
 * Peers that are compared with at a time: what the first one tells need not be told by all others. One that takes longer
 * holds up nobody.
 */
const AT_A_TIME = 2
const HOLD_UP_MS = 2_000
/** Known heads named in one question. */
const MAX_KNOWN = 16_384
/** Until a peer whose answer broke off is asked again, ms, doubled each time: its connection may have been replaced. */
const RETRY_MS = 500
/** After as many attempts the next round is waited for. */
const MAX_ATTEMPTS = 4
/** Blame for an answer that cannot be. */
const MALFORMED_POINTS = 25

export interface ComparerOptions {
  readonly local: LocalStreams
  readonly transport: Transport
  readonly digester: HeadDigester
  readonly peers: PeerBook
  readonly intake: HeadIntake
  readonly time: SwarmTime
  /** A peer knows or holds something else than this node. */
  readonly onDifference: (peer: NodeId) => void
}

/** What a peer has told so far: how much it holds, of which streams it spoke, and of which buckets it was asked. */
interface Told {
  readonly held: Map<StreamId, number | 'same'>
  readonly streams: Set<StreamId>
  readonly buckets: Uint8Array
}

/** Finds out what peers know and hold that this node does not, and the other way round. */
export class Comparer {
  readonly #options: ComparerOptions
  readonly #underWay = new Map<NodeId, Promise<void>>()
  readonly #closing = new AbortController()
  #next = 0
  #turns = 0
  readonly #waiting: (() => void)[] = []

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

  /** Compares with one peer. What goes wrong is tried again soon, and at last by the next round. */
  compare(peer: NodeId, attempt = 1): Promise<void> {
    const running = this.#underWay.get(peer)
    if (running !== undefined) return running
    const comparison = this.#inTurn(() => this.#compare(peer))
      .finally(() => this.#underWay.delete(peer))
      // A peer that is busy, or whose connection was replaced.
      .catch(() => {
        this.#retry(peer, attempt)
      })
    this.#underWay.set(peer, comparison)
    return comparison
  }

  async close(): Promise<void> {
    this.#closing.abort()
    for (const begin of this.#waiting.splice(0)) begin()
    await Promise.all(this.#underWay.values())
  }

  /** Work that ends, or that takes too long, gives its turn to the next in line. */
  async #inTurn(work: () => Promise<void>): Promise<void> {
    if (this.#turns >= AT_A_TIME) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#turns++
    let isOver = false
    const pass = (): void => {
      if (isOver) return
      isOver = true
      const next = this.#waiting.shift()
      if (next === undefined) this.#turns--
      else next()
    }
    const cancel = this.#options.time.after(HOLD_UP_MS, pass)
    try {
      await work()
    } finally {
      cancel()
      pass()
    }
  }

  #retry(peer: NodeId, attempt: number): void {
    if (attempt >= MAX_ATTEMPTS || this.#closing.signal.aborted) return
    this.#options.time.after(RETRY_MS * 2 ** (attempt - 1), () => {
      const isConnected = this.#options.peers.get(peer) !== undefined
      if (isConnected && !this.#closing.signal.aborted) void this.compare(peer, attempt + 1)
    })
  }

  async #compare(peer: NodeId): Promise<void> {
    const { digester, peers, time } = this.#options
    const record = peers.get(peer)
    if (record === undefined || this.#closing.signal.aborted) return
    const { digest, buckets } = digester.digest()
    const streams = digester.size
    const now = { ms: time.monotonicMs(), micros: time.nowMicros() }
    for await (const answer of this.#ask(peer, { kind: 'compare', digest })) {
      if (answer.kind === 'same') {
        record.compared({ streams, held: new Map(), lacks: new Map(), now })
        return
      }
      if (answer.kind !== 'buckets') {
        this.#blame(peer)
        return
      }
      const { all, filled } = differingBuckets(buckets, answer.digests)
      const ours = digester.entriesIn(all)
      const held = await this.#askHeads(peer, filled, ours)
      if (held === undefined) return
      const differing = ours.filter(({ stream }) => held.get(stream) !== 'same')
      const lacks = differing.flatMap(({ stream, held: have }) => {
        const theirs = held.get(stream)
        const has = typeof theirs === 'number' ? theirs : 0
        return has < have ? [[stream, { ours: have, theirs: has }] as const] : []
      })
      const told = [...held].flatMap(([stream, has]) => (has === 'same' ? [] : [[stream, has] as const]))
      record.compared({ streams, held: new Map(told), lacks: new Map(lacks), now })
      this.#options.onDifference(peer)
      return
    }
  }

  /**
   * @param ours what is compared of the streams of at least these buckets
   * @returns how much the peer holds of each stream that it knows; `undefined` when it does not answer as it should
   */
  async #askHeads(
    peer: NodeId,
    buckets: Uint8Array,
    ours: readonly DigestEntry[],
  ): Promise<ReadonlyMap<StreamId, number | 'same'> | undefined> {
    const told: Told = { held: new Map(), streams: new Set(), buckets }
    if (buckets.every((bits) => bits === 0)) return told.held
    const known = ours.filter(({ bucket }) => hasBit(buckets, bucket)).slice(0, MAX_KNOWN)
    let answers = 0
    for await (const answer of this.#ask(peer, { kind: 'heads', buckets, known })) {
      if (answer.kind === 'known' && answers++ === 0) this.#takeKnown(peer, known, answer, told)
      else if (answer.kind === 'heads') {
        answers++
        for (const item of answer.heads) {
          if (told.streams.size >= MAX_HEADS || !(await this.#take(peer, item, told))) return undefined
        }
      } else {
        this.#blame(peer)
        return undefined
      }
    }
    return told.held
  }

  #takeKnown(
    peer: NodeId,
    known: readonly DigestEntry[],
    answer: Extract<SyncAnswer, { kind: 'known' }>,
    { held, streams }: Told,
  ): void {
    for (const [at, { stream }] of known.entries()) if (hasBit(answer.same, at)) held.set(stream, 'same')
    for (const { at, held: has } of answer.held) {
      const stream = known[at]?.stream
      if (stream === undefined || streams.has(stream)) continue
      streams.add(stream)
      held.set(stream, has)
      this.#options.intake.heldBy(stream, has, peer)
    }
  }

  /** @returns whether the answer is to be read on */
  async #take(peer: NodeId, { head: bytes, held: has }: HeldHead, told: Told): Promise<boolean> {
    const { intake, local } = this.#options
    const head = decodeHead(bytes)
    // Whoever answers as it should tells of each stream once, and of those only that were asked for.
    const isExpected =
      head !== undefined && !told.streams.has(head.stream) && hasBit(told.buckets, bucketOf(head.stream))
    if (!isExpected || !Number.isSafeInteger(has)) {
      this.#blame(peer)
      return false
    }
    told.streams.add(head.stream)
    if ((await intake.take(head, peer)) === 'malformed') return false
    if (local.status(head.stream) !== undefined) told.held.set(head.stream, has)
    return true
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
