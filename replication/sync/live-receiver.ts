import type { NodeId, StreamId } from '../../core/index.js'
import {
  decodeHead,
  headOfRun,
  placeOfBlock,
  type ApplyOutcome,
  type BlockSeal,
  type SignedHead,
  type SignedStatement,
  type VerifiedRun,
} from '../../storage/index.js'
import type { Transport, Verdict } from '../transport.js'
import { decodeLive } from '../wire.js'
import type { ForkNews } from './fork-news.js'
import type { HeadIntake } from './head-intake.js'
import { HeadPace } from './head-pace.js'
import type { LocalStreams } from './local-streams.js'
import { PeerBudgets } from './peer-budgets.js'
import { ReorderBuffer } from './reorder-buffer.js'
import type { ReplicationCounters } from './replication-counters.js'
import type { ReplicationLogger } from './replication-logger.js'
import { RepeatWatch } from './repeat-watch.js'
import type { ReplayWatch } from './replay-watch.js'
import type { SwarmTime } from './swarm-time.js'

/** Bytes of lines that may be under way to the disk; beyond, neighbours wait. */
const MAX_APPLYING_BYTES = 8 * 1024 * 1024
/** Blame for commits that nobody honest passes on, beside that for a broadcast that is refused. */
const FORGED_POINTS = 25
/** Blame for what has been known for long, and for seals that fit nothing. */
const REPLAY_POINTS = 2
const WRONG_SEAL_POINTS = 5
/** Seals that are looked at at a time. */
const SEALS_AT_A_TIME = 32
/**
 * Broadcasts of what is known, or of what nothing can be done with: burst, per second. Those of honest neighbours are
 * nearly all news, but for some seconds after a node has fetched what it had missed.
 */
const IDLE_TALK = [20_000, 1_000] as const
/** Blame for one that is beyond; it is not looked at. */
const IDLE_TALK_POINTS = 5
/** So many bytes of one count as another one. */
const IDLE_TALK_BYTES = 4096
/** What heads count: those that are old are rare, the newest of a stream come every few seconds at most. */
const HEAD_AMOUNTS = { unchecked: 0.1, news: 5, known: 5 } as const
/** What a fork counts that is known: two signatures were checked. */
const FORK_AMOUNT = 30
/** What one counts that tells of ever more events of which none have come, and how many of these are passed on together. */
const EMPTY_HEAD_AMOUNT = 50
const MAX_EMPTY_HEADS = 8
/** What the same commits count when they come from the same neighbour in other bytes, as nobody honest does. */
const REWRITTEN_AMOUNT = 100

export interface LiveReceiverOptions {
  readonly local: LocalStreams
  readonly transport: Transport
  readonly intake: HeadIntake
  readonly time: SwarmTime
  readonly logger: ReplicationLogger
  readonly counters: ReplicationCounters
  readonly replays: ReplayWatch
  readonly forks: ForkNews
  /** Commits came whose predecessors are missing, or seals. */
  readonly onGap: (stream: StreamId, from: NodeId) => void
}

/**
 * Takes in what is broadcast: everything is verified before it is passed on, and stored without holding up what comes
 * next, as long as the disk keeps up.
 */
export class LiveReceiver {
  readonly #options: LiveReceiverOptions
  readonly #early = new ReorderBuffer()
  #applyingBytes = 0
  #waiting: (() => void)[] = []
  readonly #applying = new Set<Promise<void>>()
  readonly #idleTalk: PeerBudgets
  readonly #repeats = new RepeatWatch()
  readonly #pace: HeadPace

  constructor(options: LiveReceiverOptions) {
    this.#options = options
    this.#idleTalk = new PeerBudgets(options.time, IDLE_TALK)
    this.#pace = new HeadPace(options.time)
  }

  async receive(message: Uint8Array, from: NodeId): Promise<Verdict> {
    if (!this.#idleTalk.take(from, 0)) {
      this.#options.transport.blame(from, IDLE_TALK_POINTS, 'it repeats without end what is known')
      return 'ignore'
    }
    const live = decodeLive(message)
    switch (live?.kind) {
      case undefined:
        this.#options.counters.malformed++
        return 'reject'
      case 'run':
        return this.#run(live.run, from)
      case 'block':
        return this.#block(live.bytes, from)
      case 'heads':
        return this.#heads(live.heads.map(decodeHead), from)
      case 'seals':
        return this.#seals(live.seals, from)
      case 'fork':
        return this.#fork(live.statements, message.length, from)
    }
  }

  /** Until nothing is under way to the disk any more. */
  async close(): Promise<void> {
    await Promise.all(this.#applying)
  }

  async #run(bytes: Uint8Array, from: NodeId): Promise<Verdict> {
    const { local, counters } = this.#options
    const head = headOfRun(bytes)
    if (head === undefined) return this.#reject()
    const status = local.status(head.stream)
    if (status !== undefined && head.nextOffset <= status.nextOffset) {
      counters.repeated++
      return this.#headOnly(head, bytes, from)
    }
    if (local.isOurs(head.stream) && status?.own !== false) return this.#headOnly(head, bytes, from)
    if (!local.admits(head.stream, head.name)) return 'ignore'
    const run = await local.verifyRun(bytes, from)
    if (typeof run === 'string') {
      this.#options.transport.blame(from, FORGED_POINTS, `it sends commits that are not valid: ${run}`)
      return this.#reject()
    }
    this.#options.counters.runs++
    await this.#room(run.lineBytes)
    // What lies under a run of a signed head is signed too: who sent it holds it, or will in a moment.
    this.#start(run.lineBytes, () => this.#apply(run, from))
    return 'accept'
  }

  /** Of commits that are held already only the head can be news; they are passed on only when all of it is right. */
  async #headOnly(head: SignedHead, bytes: Uint8Array, from: NodeId): Promise<Verdict> {
    const verdict = await this.#heads([head], from)
    if (verdict !== 'accept') {
      const isRewritten = this.#repeats.isAgain(from, `${head.stream} ${String(head.nextOffset)}`)
      this.#idle(from, isRewritten ? REWRITTEN_AMOUNT : 1 + bytes.length / IDLE_TALK_BYTES)
      return verdict
    }
    return typeof (await this.#options.local.verifyRun(bytes, from)) === 'string' ? this.#reject() : 'accept'
  }

  #heldOf(stream: StreamId): number {
    return this.#options.local.status(stream)?.nextOffset ?? 0
  }

  /** A broadcast was of no use. */
  #idle(from: NodeId, amount: number): void {
    this.#idleTalk.charge(from, amount)
  }

  /** Whether the stream has been farther than that for so long that no honest neighbour still passes it on. */
  #repeated(stream: StreamId, nextOffset: number, from: NodeId): boolean {
    const { replays } = this.#options
    if (this.#heldOf(stream) <= nextOffset || !replays.isOld(stream, nextOffset + 1)) return false
    this.#options.transport.blame(from, REPLAY_POINTS, 'it repeats what has been known for long')
    return true
  }

  async #apply(run: VerifiedRun, from: NodeId): Promise<void> {
    const outcome = await this.#options.local.applyRun(run)
    if (outcome.kind === 'gap') {
      this.#early.keep(run)
      this.#idle(from, 1)
    }
    this.#noteOutcome(run.stream, outcome, from)
    if (outcome.kind === 'applied') await this.advanced(run.stream, from)
  }

  /** Applies what was waiting for what has come now. */
  async advanced(stream: StreamId, from: NodeId): Promise<void> {
    const { local } = this.#options
    for (;;) {
      const next = this.#early.take(stream, local.status(stream)?.nextOffset ?? 0)
      if (next === undefined) return
      const outcome = await local.applyRun(next)
      this.#noteOutcome(stream, outcome, from)
      if (outcome.kind !== 'applied') return
    }
  }

  #noteOutcome(stream: StreamId, outcome: ApplyOutcome, from: NodeId): void {
    const { counters, onGap, local } = this.#options
    if (outcome.kind === 'applied') {
      counters.applied++
      this.#options.replays.reached(stream, outcome.nextOffset)
      // The head that came with it was passed on by somebody who knows more than this.
      const { head, nextOffset } = local.status(stream) ?? { head: undefined, nextOffset: 0 }
      if (head !== undefined && head.nextOffset > nextOffset) onGap(stream, from)
    } else if (outcome.kind === 'gap' || outcome.kind === 'unsealed') onGap(stream, from)
    else if (outcome.kind === 'malformed') counters.malformed++
  }

  async #block(bytes: Uint8Array, from: NodeId): Promise<Verdict> {
    const { local, counters } = this.#options
    const place = placeOfBlock(bytes)
    if (place === undefined) return this.#reject()
    const { stream, firstOffset } = place
    if (this.#repeated(stream, firstOffset, from)) return 'ignore'
    const status = local.status(stream)
    if (local.isOurs(stream) && status?.own !== false) return 'ignore'
    if (!local.admits(stream, status?.name ?? '')) return 'ignore'
    await this.#room(bytes.length)
    const outcome = await this.#counted(bytes.length, local.applyBlock(stream, bytes))
    if (outcome.kind !== 'applied') this.#idle(from, 1 + bytes.length / IDLE_TALK_BYTES)
    this.#noteOutcome(stream, outcome, from)
    if (outcome.kind === 'malformed') return 'reject'
    if (outcome.kind === 'known') counters.repeated++
    return outcome.kind === 'applied' || outcome.kind === 'gap' ? 'accept' : 'ignore'
  }

  /** What is passed on has all been checked: whoever gets it blames us for what is wrong with it. */
  async #heads(heads: readonly (SignedHead | undefined)[], from: NodeId): Promise<Verdict> {
    let news = false
    let empty = 0
    const unchecked: SignedHead[] = []
    const streams = new Set<StreamId>()
    for (const head of heads) {
      // Nobody has two newest heads of one stream.
      if (head === undefined || streams.has(head.stream)) return this.#reject()
      streams.add(head.stream)
      const outcome = this.#repeated(head.stream, head.nextOffset, from)
        ? 'unchecked'
        : await this.#options.intake.take(head, from)
      if (outcome === 'malformed') return this.#reject()
      if (outcome === 'unchecked') unchecked.push(head)
      if (outcome === 'news') news = true
      const isEmpty = outcome === 'news' && this.#pace.isTooMuch(head.stream, this.#heldOf(head.stream))
      if (isEmpty) empty++
      this.#idle(from, isEmpty ? EMPTY_HEAD_AMOUNT : HEAD_AMOUNTS[outcome])
    }
    if (!news || empty > MAX_EMPTY_HEADS) return 'ignore'
    return unchecked.every((head) => this.#options.local.isAuthentic(head)) ? 'accept' : this.#reject()
  }

  /** A seal can be checked only by who holds the block, so only who holds all of them passes them on. */
  async #seals(seals: readonly BlockSeal[], from: NodeId): Promise<Verdict> {
    const { local, transport } = this.#options
    let verdict: Verdict = seals.length > 0 ? 'accept' : 'ignore'
    for (let at = 0; at < seals.length; at += SEALS_AT_A_TIME) {
      for (const outcome of await local.applySeals(seals.slice(at, at + SEALS_AT_A_TIME))) {
        if (outcome.kind === 'malformed') {
          transport.blame(from, WRONG_SEAL_POINTS, `it passes on a seal that is not valid: ${outcome.reason}`)
          return 'ignore'
        }
        if (outcome.kind === 'applied') continue
        verdict = 'ignore'
        this.#idle(from, 1)
      }
    }
    return verdict
  }

  async #fork(statements: readonly SignedStatement[], bytes: number, from: NodeId): Promise<Verdict> {
    const verdict = await this.#options.forks.receive(statements, from)
    if (verdict === 'reject') return this.#reject()
    if (verdict === 'ignore') this.#idle(from, FORK_AMOUNT + bytes / IDLE_TALK_BYTES)
    return verdict
  }

  #reject(): Verdict {
    this.#options.counters.malformed++
    return 'reject'
  }

  /** Resolves when there is room for more on the way to the disk. */
  async #room(bytes: number): Promise<void> {
    while (this.#applyingBytes > 0 && this.#applyingBytes + bytes > MAX_APPLYING_BYTES) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve)
      })
    }
  }

  #start(bytes: number, work: () => Promise<void>): void {
    const done = this.#counted(bytes, work())
      .catch((error: unknown) => {
        this.#options.logger.warn({ err: error }, 'what came from a peer could not be stored; it will be fetched again')
      })
      .finally(() => {
        this.#applying.delete(done)
      })
    this.#applying.add(done)
  }

  async #counted<T>(bytes: number, work: Promise<T>): Promise<T> {
    this.#applyingBytes += bytes
    try {
      return await work
    } finally {
      this.#applyingBytes -= bytes
      const waiting = this.#waiting
      this.#waiting = []
      for (const resume of waiting) resume()
    }
  }
}
