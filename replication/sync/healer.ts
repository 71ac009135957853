import { parseStreamId, type NodeId } from '../../core/index.js'
import type { DamagedBlock } from '../../storage/index.js'
import type { Transport } from '../transport.js'
import { decodeAnswer, encodeRequest, type SyncAnswer } from '../wire.js'
import type { LocalStreams } from './local-streams.js'
import type { PeerBook } from './peer-book.js'
import type { ReplicationLogger } from './replication-logger.js'
import type { SwarmTime } from './swarm-time.js'

/** How long an answer may take, ms: a block can be large. */
const PATIENCE_MS = 30_000
/** Until a block that nobody gave is asked for again, ms, at first and at most; whoever connects is asked at once. */
const FIRST_PAUSE_MS = 5_000
const LONGEST_PAUSE_MS = 300_000
/** Peers asked for a block at a time. */
const MAX_SOURCES = 16
/** Bytes fetched a second: peers take it for greed when much is fetched again. */
const BYTES_PER_SECOND = 2 * 1024 * 1024
/** Blame for what is no valid block. */
const MALFORMED_POINTS = 50

export interface HealerOptions {
  readonly local: LocalStreams
  readonly transport: Transport
  readonly peers: PeerBook
  readonly time: SwarmTime
  readonly logger: ReplicationLogger
}

interface Pause {
  readonly untilMs: number
  readonly failures: number
}

/** Fetches blocks anew that were found damaged here, own ones too, one after the other. */
export class Healer {
  readonly #options: HealerOptions
  /** Blocks that nobody gave, by what they are. */
  readonly #pauses = new Map<string, Pause>()
  readonly #closing = new AbortController()
  #running: Promise<void> | undefined

  constructor(options: HealerOptions) {
    this.#options = options
  }

  /** To be called when a block was found damaged, and now and then. */
  consider(): void {
    if (this.#running !== undefined || this.#closing.signal.aborted || this.#next() === undefined) return
    this.#running = this.#run().finally(() => {
      this.#running = undefined
    })
  }

  /** Somebody is there who was not asked yet. */
  connected(): void {
    this.#pauses.clear()
    this.consider()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    for (let block = this.#next(); block !== undefined; block = this.#next()) await this.#heal(block)
  }

  /** A block that is to be asked for now. */
  #next(): DamagedBlock | undefined {
    const { local, transport, time } = this.#options
    const damaged = this.#closing.signal.aborted || transport.connectedPeers().length === 0 ? [] : local.damagedBlocks()
    if (damaged.length === 0) this.#pauses.clear()
    const nowMs = time.monotonicMs()
    return damaged.find((block) => nowMs >= (this.#pauses.get(nameOf(block))?.untilMs ?? -Infinity))
  }

  async #heal(block: DamagedBlock): Promise<void> {
    const { time, logger } = this.#options
    const name = nameOf(block)
    try {
      for (const peer of this.#sources(block)) if (await this.#healFrom(peer, block)) return
    } catch (error) {
      if (!this.#closing.signal.aborted) logger.warn({ err: error, ...block }, 'a damaged block could not be replaced')
    }
    const failures = (this.#pauses.get(name)?.failures ?? 0) + 1
    const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 1))
    this.#pauses.set(name, { untilMs: time.monotonicMs() + pauseMs, failures })
  }

  /** The owner first, then those who had all of the stream. */
  #sources({ stream }: DamagedBlock): readonly NodeId[] {
    const { transport, peers, time } = this.#options
    const { nodeId: owner } = parseStreamId(stream)
    const nowMs = time.monotonicMs()
    const rank = (peer: NodeId): number => (peer === owner ? 0 : peers.get(peer)?.keepsUp(stream) === true ? 1 : 2)
    return transport
      .connectedPeers()
      .filter((peer) => peers.get(peer)?.isTrusted(nowMs) !== false)
      .toSorted((one, other) => rank(one) - rank(other))
      .slice(0, MAX_SOURCES)
  }

  /** @returns whether nothing more is to be done about the block */
  async #healFrom(peer: NodeId, block: DamagedBlock): Promise<boolean> {
    const { local, transport } = this.#options
    const answer = await this.#ask(peer, block)
    if (answer?.kind !== 'block') return false
    const outcome = await local.healBlock(block.stream, answer.bytes)
    if (outcome.kind === 'malformed') {
      transport.blame(peer, MALFORMED_POINTS, `it sends a block that is not valid: ${outcome.reason}`)
      return false
    }
    await this.#pace(answer.bytes.length)
    // What is whole may be another block than the one that was asked for.
    return !local.damagedBlocks().some(({ stream, offset }) => stream === block.stream && offset === block.offset)
  }

  /** The first piece of the answer; `undefined` when there is none, whatever the reason. */
  async #ask(peer: NodeId, { stream, offset }: DamagedBlock): Promise<SyncAnswer | undefined> {
    const { transport, time } = this.#options
    const ending = new AbortController()
    const cancel = time.after(PATIENCE_MS, () => {
      ending.abort()
    })
    const signal = AbortSignal.any([ending.signal, this.#closing.signal])
    const request = encodeRequest({ kind: 'fetch', stream, from: offset, to: offset + 1 })
    try {
      for await (const bytes of transport.request(peer, request, { signal })) {
        const answer = decodeAnswer(bytes)
        if (answer === undefined) transport.blame(peer, MALFORMED_POINTS, 'its answers cannot be read')
        return answer
      }
    } catch {
      // The peer's trouble: another one is asked.
    } finally {
      cancel()
    }
    return undefined
  }

  async #pace(bytes: number): Promise<void> {
    const { signal } = this.#closing
    if (signal.aborted) return
    await new Promise<void>((resolve) => {
      const end = (): void => {
        cancel()
        signal.removeEventListener('abort', end)
        resolve()
      }
      const cancel = this.#options.time.after((bytes / BYTES_PER_SECOND) * 1000, end)
      signal.addEventListener('abort', end)
    })
  }
}

function nameOf({ stream, offset }: DamagedBlock): string {
  return `${stream} ${String(offset)}`
}
