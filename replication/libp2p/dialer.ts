import type { NodeId } from '../../core/index.js'
import type { PeerFailure, PeerSource, PeerStatus } from '../transport.js'
import { backOffMs } from './back-off.js'

/** Addresses that are remembered of one peer. */
const MAX_ADDRESSES = 8
/** Peers that are remembered beside the configured ones. */
const MAX_LEARNT = 256
/** Attempts after which a peer is forgotten that nobody configured and that has never been connected. */
const MAX_FAILURES = 12
/** How long a peer that nobody configured is remembered after it was connected, ms. */
const MEMORY_MS = 24 * 60 * 60 * 1000
/**
 * Longest pause between attempts, ms. Whoever is configured or was connected is expected back at any moment: when a
 * network returns, nodes have to find each other within seconds. An attempt costs a packet or two.
 */
const LONGEST_MS = 60_000
const LONGEST_EXPECTED_MS = 4_000
/** Pauses become longer again when more peers than this are away: about eight attempts a second in all. */
const MANY_EXPECTED = 32
/** Shortest pause: after an attempt that took its time, and for somebody of whom others have news, ms. */
const SHORTEST_MS = 500
/** Attempts in vain after which a configured peer that has never answered is needed no more than others. */
const MAX_NEEDED_FAILURES = 3
/** When to look again whether there are still enough, ms. */
const ENOUGH_MS = 30_000
/** How much later the node with the greater id dials, ms: so that two that find each other do not cross. */
const SECOND_MS = 700

export interface DialerOptions {
  readonly self: NodeId
  /** @returns who answered */
  readonly dial: (address: string, nodeId: NodeId | undefined, signal: AbortSignal) => Promise<NodeId>
  /** How long one attempt may take, ms. */
  readonly dialMs: number
  readonly isConnected: (nodeId: NodeId) => boolean
  readonly isUnwanted: (nodeId: NodeId) => boolean
  readonly connections: () => number
  /** Connections from which on only those are dialled who are configured and have never been connected. */
  readonly enough: number
  readonly describe: (error: unknown, address: string) => PeerFailure
  readonly onFailed: (peer: NodeId | undefined, address: string, failure: PeerFailure) => void
  readonly nowMicros: () => number
  readonly nowMs: () => number
  readonly random: () => number
}

/** A peer to whom there should be a connection. */
interface Target {
  nodeId: NodeId | undefined
  readonly source: PeerSource
  /** The one that worked or came last is the first. */
  addresses: string[]
  failures: number
  failure: PeerFailure | undefined
  sinceMicros: number
  /** When it was connected last, ms. */
  seenMs: number | undefined
  nextDialMicros: number | undefined
  timer: NodeJS.Timeout | undefined
  dialling: AbortController | undefined
}

/** Keeps up the connections that this node should have: to peers that are configured, found nearby, or heard of. */
export class Dialer {
  readonly #options: DialerOptions
  readonly #targets = new Set<Target>()
  #closed = false

  constructor(options: DialerOptions) {
    this.#options = options
  }

  /** Adds what is known of a peer. The first attempt is made at once. */
  add(source: PeerSource, nodeId: NodeId | undefined, addresses: readonly string[]): void {
    if (this.#closed || nodeId === this.#options.self || addresses.length === 0) return
    const known = this.#find(nodeId, addresses)
    if (known !== undefined) {
      known.nodeId ??= nodeId
      known.addresses = [...new Set([...known.addresses, ...addresses])].slice(0, MAX_ADDRESSES)
      this.#hasten(known)
      return
    }
    if (source !== 'configured' && !this.#makeRoom()) return
    const target: Target = {
      nodeId,
      source,
      addresses: addresses.slice(0, MAX_ADDRESSES),
      failures: 0,
      failure: undefined,
      sinceMicros: this.#options.nowMicros(),
      seenMs: undefined,
      nextDialMicros: undefined,
      timer: undefined,
      dialling: undefined,
    }
    this.#targets.add(target)
    const isSecond = nodeId === undefined || nodeId < this.#options.self
    const waitMs = source === 'configured' ? 0 : this.#options.random() * 200
    this.#schedule(target, waitMs + (isSecond && source !== 'configured' ? SECOND_MS : 0))
  }

  /** A connection stands, whoever began it. */
  connected(nodeId: NodeId, address: string | undefined): void {
    for (const target of this.#targets) {
      if (target.nodeId !== nodeId) continue
      target.failures = 0
      target.seenMs = this.#options.nowMs()
      target.sinceMicros = this.#options.nowMicros()
      if (address !== undefined) {
        target.addresses = [...new Set([address, ...target.addresses])].slice(0, MAX_ADDRESSES)
      }
      this.#unschedule(target)
    }
  }

  /** A connection ended. */
  lost(nodeId: NodeId, failure: PeerFailure, waitMs = 0): void {
    for (const target of this.#targets) {
      if (target.nodeId !== nodeId) continue
      target.failure = failure
      target.seenMs = this.#options.nowMs()
      target.sinceMicros = this.#options.nowMicros()
      const secondMs = nodeId < this.#options.self ? SECOND_MS : 0
      this.#schedule(target, waitMs + this.#firstPauseMs(failure) + secondMs)
    }
  }

  isDialling(nodeId: NodeId): boolean {
    for (const target of this.#targets) if (target.nodeId === nodeId && target.dialling !== undefined) return true
    return false
  }

  /** Whether the operator has named it. */
  isConfigured(nodeId: NodeId): boolean {
    for (const target of this.#targets) if (target.nodeId === nodeId && target.source === 'configured') return true
    return false
  }

  *targets(): Iterable<
    Pick<PeerStatus, 'nodeId' | 'source' | 'addresses' | 'failures' | 'failure' | 'sinceMicros' | 'nextDialMicros'> & {
      readonly dialling: boolean
    }
  > {
    for (const { nodeId, source, addresses, failures, failure, sinceMicros, nextDialMicros, dialling } of this
      .#targets) {
      const isDialling = dialling !== undefined
      yield { nodeId, source, addresses, failures, failure, sinceMicros, nextDialMicros, dialling: isDialling }
    }
  }

  close(): void {
    this.#closed = true
    for (const target of this.#targets) {
      this.#unschedule(target)
      target.dialling?.abort()
    }
    this.#targets.clear()
  }

  #find(nodeId: NodeId | undefined, addresses: readonly string[]): Target | undefined {
    for (const target of this.#targets) {
      if (nodeId !== undefined && target.nodeId !== undefined) {
        if (target.nodeId === nodeId) return target
      } else if (addresses.some((address) => target.addresses.includes(address))) return target
    }
    return undefined
  }

  #schedule(target: Target, waitMs: number): void {
    if (this.#closed) return
    this.#unschedule(target)
    target.nextDialMicros = this.#options.nowMicros() + Math.round(waitMs * 1000)
    target.timer = setTimeout(() => void this.#attempt(target), waitMs)
  }

  #unschedule(target: Target): void {
    clearTimeout(target.timer)
    target.timer = undefined
    target.nextDialMicros = undefined
  }

  async #attempt(target: Target): Promise<void> {
    const { isConnected, isUnwanted, connections, enough, nowMs, random } = this.#options
    this.#unschedule(target)
    const { nodeId } = target
    if (target.dialling !== undefined || (nodeId !== undefined && isConnected(nodeId))) return
    if ((connections() >= enough && !isNeeded(target)) || (nodeId !== undefined && isUnwanted(nodeId))) {
      this.#schedule(target, ENOUGH_MS * (0.5 + random()))
      return
    }
    target.dialling = new AbortController()
    const beganMs = nowMs()
    try {
      const found = await this.#dial(target, target.dialling.signal)
      this.#answered(target, found)
    } catch (error) {
      this.#failed(target, error, nowMs() - beganMs)
    } finally {
      target.dialling = undefined
    }
  }

  /**
   * One address after the other, since libp2p takes them in an order of its own and gives all its time to one that does
   * not answer. Two such addresses take all the time there is; what came behind them is the next time before them.
   */
  async #dial(target: Target, signal: AbortSignal): Promise<NodeId> {
    const { dial, dialMs, nowMs } = this.#options
    const endMs = nowMs() + dialMs
    const limitMs = target.addresses.length === 1 ? dialMs : dialMs / 2
    const errors: unknown[] = []
    for (const address of [...target.addresses]) {
      if (nowMs() >= endMs) break
      try {
        return await dial(address, target.nodeId, AbortSignal.any([signal, AbortSignal.timeout(limitMs)]))
      } catch (error) {
        errors.push(error)
      }
    }
    // The address that worked last stays the first one.
    const kept = target.seenMs === undefined ? 0 : 1
    const tried = target.addresses.splice(kept, errors.length - kept)
    target.addresses.push(...tried)
    throw new AggregateError(errors)
  }

  #answered(target: Target, nodeId: NodeId): void {
    if (target.nodeId === undefined) {
      const twin = [...this.#targets].find((other) => other !== target && other.nodeId === nodeId)
      // What the operator configured stays in the list; what was heard of the same node goes into it.
      if (twin !== undefined) this.#drop(twin.source === 'configured' ? target : twin)
      target.nodeId = nodeId
    }
    target.failures = 0
    target.seenMs = this.#options.nowMs()
    target.sinceMicros = this.#options.nowMicros()
    // It may be gone again already, before anybody knew that this is its address.
    if (!this.#options.isConnected(nodeId)) this.#schedule(target, this.#pauseMs(target))
  }

  #failed(target: Target, error: unknown, tookMs: number): void {
    const { nodeId } = target
    if (this.#closed || (nodeId !== undefined && this.#options.isConnected(nodeId))) return
    target.failures++
    const address = target.addresses.join(', ')
    target.failure = this.#options.describe(error, address)
    if (this.#isHopeless(target)) this.#drop(target)
    else this.#schedule(target, Math.max(this.#pauseMs(target) - tookMs, SHORTEST_MS))
    this.#options.onFailed(nodeId, address, target.failure)
  }

  /** A link that went silent is most likely replaced by one that works; a peer that hangs up has its reasons. */
  #firstPauseMs({ reason }: PeerFailure): number {
    const { random } = this.#options
    return reason === 'dead-link' ? SHORTEST_MS * random() : backOffMs(0, random(), LONGEST_MS)
  }

  #pauseMs({ source, failures, failure, seenMs }: Target): number {
    // Trying again soon does not give it another key.
    const isWrong = failure?.reason === 'network-key' || failure?.reason === 'identity'
    const isExpected = seenMs !== undefined || (source === 'configured' && !isWrong)
    const crowd = Math.max(1, this.#targets.size / MANY_EXPECTED)
    const longestMs = isExpected ? Math.min(LONGEST_EXPECTED_MS * crowd, LONGEST_MS) : LONGEST_MS
    return backOffMs(failures, this.#options.random(), longestMs)
  }

  #isHopeless({ source, failures, seenMs }: Target): boolean {
    if (source === 'configured') return false
    return seenMs === undefined ? failures >= MAX_FAILURES : this.#options.nowMs() - seenMs > MEMORY_MS
  }

  /** Others see it, so the next attempt need not wait. */
  #hasten(target: Target): void {
    if (target.timer === undefined || target.failures < 2 || target.nextDialMicros === undefined) return
    const leftMs = (target.nextDialMicros - this.#options.nowMicros()) / 1000
    if (leftMs > SHORTEST_MS) this.#schedule(target, SHORTEST_MS * this.#options.random())
  }

  /** @returns whether one more peer may be remembered */
  #makeRoom(): boolean {
    if (this.#targets.size < MAX_LEARNT) return true
    const away = [...this.#targets].filter(
      ({ source, failures, dialling }) => source !== 'configured' && failures > 0 && dialling === undefined,
    )
    const [oldest] = away.sort((one, other) => (one.seenMs ?? 0) - (other.seenMs ?? 0))
    if (oldest === undefined) return false
    this.#drop(oldest)
    return true
  }

  #drop(target: Target): void {
    this.#unschedule(target)
    this.#targets.delete(target)
  }
}

/** With enough connections, too: somebody configured who was never there. Whoever was may have made room for others. */
function isNeeded({ source, seenMs, failures }: Target): boolean {
  return source === 'configured' && seenMs === undefined && failures < MAX_NEEDED_FAILURES
}
