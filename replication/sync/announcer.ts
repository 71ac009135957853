import type { StreamId } from '../../core/index.js'
import { encodeHead, type BlockSeal } from '../../storage/index.js'
import { MAX_BROADCAST_BYTES, type Transport } from '../transport.js'
import { encodeLive, groupItems, type LiveMessage } from '../wire.js'
import type { LocalStreams } from './local-streams.js'
import type { ReplicationLogger } from './replication-logger.js'

/** Lines put into one message; they shrink to a third or less. */
const LIVE_BYTES = 512 * 1024
/** Bytes of a seal in a message. */
const SEAL_BYTES = 160
/** Seals that wait to be announced; who misses one asks for it. */
const MAX_WAITING_SEALS = 4096

/**
 * Broadcasts what this node commits, once it is on disk. While one message is on its way the next one collects whatever
 * is committed meanwhile, so there is nothing to queue: how far a stream was announced is one number.
 */
export class Announcer {
  readonly #local: LocalStreams
  readonly #transport: Transport
  readonly #logger: ReplicationLogger
  /** Offset up to which each own stream was announced. */
  readonly #announced = new Map<StreamId, number>()
  readonly #dirty = new Set<StreamId>()
  #seals: BlockSeal[] = []
  #running: Promise<void> | undefined
  #closed = false

  constructor(local: LocalStreams, transport: Transport, logger: ReplicationLogger) {
    this.#local = local
    this.#transport = transport
    this.#logger = logger
    for (const { stream, own, nextOffset } of local.all()) if (own) this.#announced.set(stream, nextOffset)
  }

  moved(streams: readonly StreamId[]): void {
    for (const stream of streams) this.#dirty.add(stream)
    this.#start()
  }

  sealed(seals: readonly BlockSeal[]): void {
    this.#seals.push(...seals.slice(0, Math.max(0, MAX_WAITING_SEALS - this.#seals.length)))
    this.#start()
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#running
  }

  #start(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
      // What came between the last look and now.
      if (this.#isBusy()) this.#start()
    })
  }

  #isBusy(): boolean {
    return !this.#closed && (this.#dirty.size > 0 || this.#seals.length > 0)
  }

  async #run(): Promise<void> {
    while (this.#isBusy()) {
      try {
        for (const stream of [...this.#dirty]) {
          this.#dirty.delete(stream)
          await this.#announce(stream)
        }
        await this.#announceSeals()
      } catch (error) {
        // Nothing is lost by it: peers compare heads and fetch.
        if (!this.#closed) this.#logger.warn({ err: error }, 'commits could not be announced')
      }
    }
  }

  async #announce(stream: StreamId): Promise<void> {
    if (!this.#local.isShared(stream)) return
    const status = this.#local.status(stream)
    if (status === undefined) return
    if (this.#transport.connectedPeers().length === 0) {
      this.#announced.set(stream, status.nextOffset)
      return
    }
    const from = this.#announced.get(stream) ?? 0
    const piece = await this.#local.read(stream, from, LIVE_BYTES)
    if (piece === undefined) return
    if (piece.kind === 'pruned') {
      this.#announced.set(stream, piece.firstOffset)
    } else {
      const { nextOffset } = piece.kind === 'run' ? piece.run.head : piece
      const message: LiveMessage =
        piece.kind === 'run' ? { kind: 'run', run: await this.#local.encodeRun(piece.run) } : piece
      this.#announced.set(stream, nextOffset)
      await this.#send(stream, message)
    }
    // More than one message holds, or committed meanwhile.
    if ((this.#announced.get(stream) ?? 0) < (this.#local.status(stream)?.nextOffset ?? 0)) this.#dirty.add(stream)
  }

  /** What is too long to be broadcast is announced by a head, and fetched. */
  async #send(stream: StreamId, message: LiveMessage): Promise<void> {
    const bytes = encodeLive(message)
    if (bytes.length <= MAX_BROADCAST_BYTES) {
      await this.#transport.broadcast(bytes)
      return
    }
    const head = await this.#local.signHead(stream)
    if (head === undefined) return
    this.#announced.set(stream, head.nextOffset)
    await this.#transport.broadcast(encodeLive({ kind: 'heads', heads: [encodeHead(head)] }))
  }

  async #announceSeals(): Promise<void> {
    const seals = this.#seals.filter(({ stream }) => this.#local.isShared(stream))
    this.#seals = []
    if (this.#transport.connectedPeers().length === 0) return
    for (const group of groupItems(seals, () => SEAL_BYTES)) {
      await this.#transport.broadcast(encodeLive({ kind: 'seals', seals: group }))
    }
  }
}
