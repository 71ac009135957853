import { setMaxListeners } from 'node:events'
import { parseStreamId, type NodeId, type StreamId } from '../../core/index.js'
import { Allowance } from '../allowance.js'
import type { Transport } from '../transport.js'
import type { LocalStreams } from './local-streams.js'
import type { PeerBook } from './peer-book.js'
import type { ReplicationCounters } from './replication-counters.js'
import type { ReplicationLogger } from './replication-logger.js'
import { fetchSeals, fetchStretch, type Stretch } from './stream-fetch.js'
import type { SwarmTime } from './swarm-time.js'

/** Broadcasts overtake each other; this long what is missing may still come by itself, ms. */
const PATIENCE_MS = 50
/** Streams fetched at a time. */
const MAX_ACTIVE = 8
/** Peers that one stream is fetched from at a time. */
const MAX_SOURCES = 4
/** Events below which a second source is not worth it. */
const EVENTS_PER_SOURCE = 4096
/** Events asked for at a time, whatever a head promises. */
const MAX_STRETCH_EVENTS = 2 ** 20
/** Until a peer that failed is asked again for the same stream, ms. */
const COOLDOWN_MS = 2_000
/** Until a stream that nobody could give is tried again, ms, at first and at most. */
const FIRST_RETRY_MS = 500
const LONGEST_RETRY_MS = 10_000
/** From so many attempts in vain on it becomes rarer still; somebody new who knows of it is asked at once, ms. */
const HOPELESS_AFTER = 8
const HOPELESS_RETRY_MS = 300_000
/** How long the next piece of an answer may take, ms; twice as long after each attempt in vain, as events can be large. */
const PATIENCE_FOR_PIECE_MS = 10_000
const LONGEST_PATIENCE_MS = 160_000
/** Questions to peers who have not said that they know of a stream: burst, per second. */
const GUESSES = [64, 4] as const
/** Attempts without any success before the operator is told of a gap. */
const STUCK_AFTER = 3

export interface CatchUpOptions {
  readonly local: LocalStreams
  readonly transport: Transport
  readonly peers: PeerBook
  readonly time: SwarmTime
  readonly logger: ReplicationLogger
  readonly counters: ReplicationCounters
  /** A stream is farther than before. */
  readonly onAdvanced: (stream: StreamId, from: NodeId) => Promise<void>
  /** A peer has pruned what was asked for: its heads are newer than those that are known. */
  readonly onPruned: (peer: NodeId) => Promise<void>
}

/** Events that are known of and that no connected node can give. */
export interface StuckStream {
  readonly stream: StreamId
  readonly from: number
  readonly to: number
  readonly sinceMicros: number
}

/** A stream of which something is missing. */
interface Task {
  readonly stream: StreamId
  /** Peers that seem to have more. */
  readonly hints: Set<NodeId>
  /** Until when peers are not asked, monotonic ms. */
  readonly cooldowns: Map<NodeId, number>
  state: 'waiting' | 'queued' | 'running'
  cancelTimer: (() => void) | undefined
  failures: number
  sinceMicros: number
  sealsWanted: boolean
  /** Unsigned block that nobody had the signature of. */
  sealsMissedFrom: number | undefined
}

type Need = { readonly kind: 'events'; readonly stretch: Stretch } | { readonly kind: 'seals'; readonly from: number }

/** Fetches what is missing, from several peers at once, until nothing is missing any more that anybody connected has. */
export class CatchUp {
  readonly #options: CatchUpOptions
  readonly #tasks = new Map<StreamId, Task>()
  readonly #running = new Set<Promise<void>>()
  readonly #closing = new AbortController()
  /** Requests under way, by peer. */
  readonly #load = new Map<NodeId, number>()
  readonly #guesses: Allowance
  #turn = 0

  constructor(options: CatchUpOptions) {
    this.#options = options
    // Every request under way listens to it.
    setMaxListeners(0, this.#closing.signal)
    this.#guesses = new Allowance(...GUESSES, options.time.monotonicMs())
  }

  /** Looks whether something of a stream is missing, and fetches it soon. */
  consider(stream: StreamId, hint?: NodeId): void {
    const need = this.#closing.signal.aborted ? undefined : this.#need(stream, undefined)
    if (need === undefined) return
    const known = this.#tasks.get(stream)
    const task = known ?? this.#create(stream)
    const isNews = hint !== undefined && !task.hints.has(hint)
    if (hint !== undefined) task.hints.add(hint)
    // So many are not on their way by themselves.
    const isFarBehind = need.kind === 'events' && need.stretch.to - need.stretch.from >= EVENTS_PER_SOURCE
    if (known === undefined || (task.state === 'waiting' && isNews)) this.#schedule(task, isFarBehind ? 0 : PATIENCE_MS)
  }

  /** What nobody who is connected could give. */
  stuck(): readonly StuckStream[] {
    return [...this.#tasks.values()].flatMap(({ stream, failures, sinceMicros }) => {
      const need = failures < STUCK_AFTER ? undefined : this.#need(stream, undefined)
      return need?.kind === 'events' ? [{ stream, ...need.stretch, sinceMicros }] : []
    })
  }

  /** A peer is gone: what it was asked for is asked of others. */
  gone(peer: NodeId): void {
    for (const task of this.#tasks.values()) task.hints.delete(peer)
  }

  /** A peer is connected: that it failed on an earlier connection no longer counts. */
  connected(peer: NodeId): void {
    for (const task of this.#tasks.values()) task.cooldowns.delete(peer)
  }

  async close(): Promise<void> {
    this.#closing.abort()
    for (const { cancelTimer } of this.#tasks.values()) cancelTimer?.()
    await Promise.all(this.#running)
  }

  #create(stream: StreamId): Task {
    const task: Task = {
      stream,
      hints: new Set(),
      cooldowns: new Map(),
      state: 'waiting',
      cancelTimer: undefined,
      failures: 0,
      sinceMicros: this.#options.time.nowMicros(),
      sealsWanted: false,
      sealsMissedFrom: undefined,
    }
    this.#tasks.set(stream, task)
    return task
  }

  #schedule(task: Task, delayMs: number): void {
    task.cancelTimer?.()
    task.state = 'waiting'
    task.cancelTimer = this.#options.time.after(delayMs, () => {
      task.cancelTimer = undefined
      task.state = 'queued'
      this.#startQueued()
    })
  }

  #startQueued(): void {
    while (this.#running.size < MAX_ACTIVE && !this.#closing.signal.aborted) {
      const task = this.#nextQueued()
      if (task === undefined) return
      task.state = 'running'
      const done = this.#run(task).finally(() => {
        this.#running.delete(done)
        this.#startQueued()
      })
      this.#running.add(done)
    }
  }

  /** Those that have failed before come after all others: whoever announces what nobody has holds up nobody. */
  #nextQueued(): Task | undefined {
    let next: Task | undefined
    for (const task of this.#tasks.values()) {
      if (task.state !== 'queued') continue
      if (task.failures === 0) return task
      if (next === undefined || task.failures < next.failures) next = task
    }
    return next
  }

  async #run(task: Task): Promise<void> {
    for (;;) {
      if (this.#closing.signal.aborted) return
      const need = this.#need(task.stream, task)
      if (need === undefined) {
        this.#tasks.delete(task.stream)
        return
      }
      const before = this.#options.local.status(task.stream)?.nextOffset ?? 0
      const helped = await this.#attempt(task, need)
      const advanced = (this.#options.local.status(task.stream)?.nextOffset ?? 0) > before
      // To have found out that signatures are missing is a step, but no success.
      if (advanced || (helped && need.kind === 'seals')) task.failures = 0
      if (advanced || helped) continue
      task.failures++
      this.#options.counters.failedFetches++
      // Somebody who was heard of meanwhile has not been asked yet.
      const retry = retryMs(task.failures)
      this.#schedule(task, task.hints.size > 0 ? Math.min(retry, LONGEST_RETRY_MS) : retry)
      return
    }
  }

  /** @param task `undefined` to know whether there is anything to do at all */
  #need(stream: StreamId, task: Task | undefined): Need | undefined {
    const status = this.#options.local.status(stream)
    if (status?.head === undefined || status.own) return undefined
    const { head, nextOffset, unsignedFrom, frozen } = status
    // Up to where its two histories part there is only one.
    if (frozen !== undefined && nextOffset >= frozen.offset) return undefined
    if (!this.#options.local.admits(stream, head.name)) return undefined
    if (task?.sealsWanted === true && unsignedFrom !== undefined) return { kind: 'seals', from: unsignedFrom }
    const from = Math.max(nextOffset, head.firstOffset)
    // Its block is complete when a later one has begun.
    const isUnsigned = unsignedFrom !== undefined && head.blockOffset > unsignedFrom
    const seals = isUnsigned && unsignedFrom !== task?.sealsMissedFrom ? unsignedFrom : undefined
    // Events that nobody has would keep the signatures away that somebody has.
    const isEventsFirst = task === undefined || task.failures === 0 || seals === undefined
    if (from < head.nextOffset && isEventsFirst) return { kind: 'events', stretch: { from, to: head.nextOffset } }
    if (seals !== undefined) return { kind: 'seals', from: seals }
    // After power cuts others may hold signed blocks beyond the newest head that anybody has left.
    const to = this.#options.peers.heldAnywhere(stream, from)
    return to > from ? { kind: 'events', stretch: { from, to } } : undefined
  }

  /** @returns whether it helped */
  async #attempt(task: Task, need: Need): Promise<boolean> {
    const from = need.kind === 'events' ? need.stretch.from : need.from
    // Signatures are asked of one after the other, until somebody has some.
    const wanted = need.kind === 'events' ? Math.ceil((need.stretch.to - from) / EVENTS_PER_SOURCE) : MAX_SOURCES
    const sources = this.#sources(task, need).slice(0, Math.min(wanted, MAX_SOURCES))
    if (sources.length === 0) return false
    for (const peer of sources) this.#load.set(peer, (this.#load.get(peer) ?? 0) + 1)
    try {
      return need.kind === 'events'
        ? await this.#fetchEvents(task, need.stretch, sources)
        : await this.#fetchSeals(task, need.from, sources)
    } catch (error) {
      if (!this.#closing.signal.aborted) {
        this.#options.logger.warn({ err: error, stream: task.stream }, 'fetched events could not be stored')
      }
      // Trouble with the own disk says nothing about the peers: it is tried soon again when that is over.
      task.failures = Math.min(task.failures, HOPELESS_AFTER - 2)
      return false
    } finally {
      for (const peer of sources) this.#load.set(peer, (this.#load.get(peer) ?? 1) - 1)
    }
  }

  async #fetchEvents(task: Task, stretch: Stretch, sources: readonly NodeId[]): Promise<boolean> {
    const { local, peers, onAdvanced, onPruned } = this.#options
    const { stream } = task
    const status = local.status(stream)
    const before = status?.nextOffset ?? 0
    const patienceMs = Math.min(LONGEST_PATIENCE_MS, PATIENCE_FOR_PIECE_MS * 2 ** task.failures)
    const sealsAreGone = task.sealsMissedFrom !== undefined && task.sealsMissedFrom === status?.unsignedFrom
    const options = { ...this.#options, patienceMs, sealsAreGone }
    const { from } = stretch
    const part = { from, to: Math.min(stretch.to, from + MAX_STRETCH_EVENTS) }
    const result = await fetchStretch(options, stream, part, sources, this.#closing.signal)
    const isUnsealed = result.failure?.kind === 'unsealed'
    // Whose events came too early is not to blame for it: of all peers it is who may have the signatures.
    for (const peer of isUnsealed ? [] : [...result.failed, ...result.pruned]) {
      this.#coolDown(task, peer)
      peers.get(peer)?.disappointed(stream)
    }
    const nowMs = this.#options.time.monotonicMs()
    for (const peer of sources) {
      if (result.unreliable.has(peer)) peers.get(peer)?.failed(nowMs)
      else if (!result.failed.has(peer)) peers.get(peer)?.gave()
    }
    const [source] = sources
    if (source !== undefined && (local.status(stream)?.nextOffset ?? 0) > before) await onAdvanced(stream, source)
    if (isUnsealed && !task.sealsWanted) {
      task.sealsWanted = true
      return true
    }
    for (const peer of result.pruned) await onPruned(peer)
    return false
  }

  async #fetchSeals(task: Task, from: number, sources: readonly NodeId[]): Promise<boolean> {
    task.sealsWanted = false
    for (const peer of sources) {
      if (await fetchSeals(this.#options, task.stream, from, peer, this.#closing.signal)) return true
      this.#coolDown(task, peer)
    }
    // Not again before the next one is missing or time has passed; nothing depends on it yet.
    task.sealsMissedFrom = from
    return false
  }

  #coolDown(task: Task, peer: NodeId): void {
    task.hints.delete(peer)
    task.cooldowns.set(peer, this.#options.time.monotonicMs() + COOLDOWN_MS)
  }

  /** Who is to be asked: those who said that they have it, the owner, those who knew of it; else anybody. */
  #sources(task: Task, need: Need): readonly NodeId[] {
    const { peers, transport, time } = this.#options
    const nowMs = time.monotonicMs()
    const { nodeId: owner } = parseStreamId(task.stream)
    const free = transport
      .connectedPeers()
      .filter((peer) => (task.cooldowns.get(peer) ?? -Infinity) <= nowMs && peers.get(peer)?.isTrusted(nowMs) !== false)
    // What a peer said at the last comparison may be old: the owner, and who passed on something newer, have more.
    const isHolder = (peer: NodeId): boolean => {
      const record = peers.get(peer)
      if (need.kind === 'seals') return record?.keepsUp(task.stream) === true
      return record?.hasBehind(task.stream, need.stretch.from) === true
    }
    const holders = free.filter((peer) => peer === owner || task.hints.has(peer) || isHolder(peer))
    const chosen = holders.length > 0 || !this.#guesses.take(1, nowMs) ? holders : free
    const turn = this.#turn++
    return chosen
      .map((peer, at) => ({ peer, load: this.#load.get(peer) ?? 0, place: (at + turn) % chosen.length }))
      .sort((one, other) => one.load - other.load || one.place - other.place)
      .map(({ peer }) => peer)
  }
}

function retryMs(failures: number): number {
  const longest = failures < HOPELESS_AFTER ? LONGEST_RETRY_MS : HOPELESS_RETRY_MS
  return Math.min(longest, FIRST_RETRY_MS * 2 ** (failures - 1))
}
