import type { Clock } from '../core/index.js'
import { effectiveRetention } from './block-fate.js'
import type { ClockGuard } from './clock-guard.js'
import { CorruptRecordError } from './corrupt-record.js'
import type { Counters } from './counters.js'
import type { Health } from './health.js'
import { Maintenance } from './maintenance.js'
import type { Pruner } from './pruner.js'
import type { Reclaimer } from './reclaimer.js'
import type { Retention } from './retention.js'
import type { Sealer } from './sealer.js'
import { StoreClosedError } from './store-errors.js'
import type { StoreLogger } from './store-options.js'
import type { StreamState } from './stream-state.js'
import type { StreamTable } from './stream-table.js'
import type { TailCompactor } from './tail-compactor.js'

export interface UpkeepOptions {
  readonly streams: StreamTable
  readonly sealer: Sealer
  readonly pruner: Pruner
  readonly reclaimer: Reclaimer
  readonly tails: TailCompactor
  readonly health: Health
  readonly counters: Counters
  readonly clock: Clock
  readonly guard: ClockGuard
  readonly logger: StoreLogger
  readonly pruneIntervalMs: number
  /** Lines waiting to be sealed, bytes, beyond which commits wait. */
  readonly maxUnsealedBytes: number
  readonly retentionOf: (state: StreamState) => Retention
  /** Ends the open block of a stream between two commits, which tells of it as of any complete block. */
  readonly endBlock: (state: StreamState) => void
  readonly writeFailed: (error: unknown) => void
}

/** The work behind the commits, one piece at a time: sealing, retention, giving back disk. */
export class Upkeep {
  readonly #options: UpkeepOptions
  readonly #maintenance: Maintenance
  #unsealedBytes = 0
  /** When all streams were last looked at for what to prune, by the monotonic clock. */
  #prunedMs = performance.now()
  #waiting: (() => void)[] = []
  readonly #tasks: (() => Promise<void>)[] = []
  #stopped = false

  constructor(options: UpkeepOptions) {
    this.#options = options
    this.#maintenance = new Maintenance(() => this.#work(), options.writeFailed)
  }

  start(): void {
    this.#countUnsealed()
    this.#maintenance.wake()
  }

  /** Settings changed, or a refusal began or ended. */
  wake(): void {
    this.#wakeWaiting()
    this.#maintenance.wake()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#maintenance.stop()
    // What was asked for before is still done, so that nobody waits for ever.
    while (this.#tasks.length > 0) await this.#doTasks()
  }

  /**
   * Does something while nothing is sealed or pruned, before anything else of that. Must not be called by a task.
   *
   * @throws StoreClosedError
   */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    if (this.#stopped) return Promise.reject(new StoreClosedError())
    return new Promise((resolve, reject) => {
      this.#tasks.push(() => work().then(resolve, reject))
      this.#maintenance.wake()
    })
  }

  /** Seals what is complete of a stream, and of others by the way; only as part of an exclusive task. */
  async sealNow(state: StreamState): Promise<void> {
    while (state.sealable.length > 0 && (await this.#sealSome())) continue
  }

  /** Prunes one stream at once; only as part of an exclusive task. */
  async pruneNow(state: StreamState): Promise<void> {
    await this.#prune(state, this.#options.retentionOf(state), this.#options.clock.nowMicros())
  }

  /** Has complete blocks sealed, and open ones when they are due. */
  committed(states: readonly StreamState[], completedBlock: boolean): void {
    this.#options.tails.committed()
    for (const state of states) {
      if (state.open.parts.length !== 1) continue
      const { maxBlockAgeMicros } = this.#options.retentionOf(state)
      if (maxBlockAgeMicros !== Infinity) this.#maintenance.wakeIn(maxBlockAgeMicros / 1000)
    }
    if (!completedBlock) return
    this.#countUnsealed()
    this.#maintenance.wake()
  }

  /** Lines of full blocks that wait to be sealed, bytes. */
  get unsealedBytes(): number {
    return this.#unsealedBytes
  }

  /** In how many milliseconds all streams are looked at for what to prune, at the latest. */
  get pruneInMs(): number {
    return Math.min(this.#maintenance.dueInMs, this.#options.pruneIntervalMs)
  }

  /** How long ago all streams were looked at for what to prune. */
  get pruneAgeMs(): number {
    return performance.now() - this.#prunedMs
  }

  /** Commits wait while sealing is far behind; `undefined` when it is not. */
  roomToSeal(): Promise<void> | undefined {
    return this.#isFarBehind() ? this.#sealedEnough() : undefined
  }

  #isFarBehind(): boolean {
    const { maxUnsealedBytes, health } = this.#options
    return this.#unsealedBytes > maxUnsealedBytes && health.refusal() === undefined
  }

  async #sealedEnough(): Promise<void> {
    while (this.#isFarBehind()) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve)
        this.#maintenance.wake()
      })
    }
  }

  #wakeWaiting(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }

  async #work(): Promise<void> {
    const { pruneIntervalMs, health } = this.#options
    this.#maintenance.wakeIn(pruneIntervalMs)
    await this.#doTasks()
    if (health.refusal() !== undefined) return
    this.#closeAged()
    while (await this.#sealSome()) {
      await this.#pruneAll()
      await this.#doTasks()
    }
    await this.#pruneAll()
    await this.#options.reclaimer.compact()
    const laterMs = await this.#options.tails.compact()
    if (laterMs !== undefined) this.#maintenance.wakeIn(laterMs)
  }

  /** Those that come meanwhile have to wait for a round of sealing. */
  async #doTasks(): Promise<void> {
    for (const task of this.#tasks.splice(0)) await task()
  }

  /** Has open blocks ended that are older than their stream wants. */
  #closeAged(): void {
    const { streams, clock, retentionOf } = this.#options
    for (const state of streams.born()) {
      const { maxBlockAgeMicros } = retentionOf(state)
      const { firstTimestamp } = state.open
      if (maxBlockAgeMicros === Infinity || firstTimestamp === undefined || state.damaged || state.isReplica) continue
      const dueMicros = firstTimestamp + maxBlockAgeMicros - clock.nowMicros()
      if (dueMicros <= 0) this.#options.endBlock(state)
      else this.#maintenance.wakeIn(Math.ceil(dueMicros / 1000))
    }
  }

  async #sealSome(): Promise<boolean> {
    const { sealer, counters, health } = this.#options
    if (health.refusal() !== undefined) return false
    const blocks = await sealer.round()
    counters.sealedBlocks += blocks
    this.#countUnsealed()
    this.#wakeWaiting()
    return blocks > 0
  }

  async #pruneAll(): Promise<void> {
    const { streams, health, clock, counters, pruner } = this.#options
    const started = performance.now()
    const jumped = this.#watchClock()
    let blocks = 0
    for (const state of streams.born()) {
      if (health.refusal() !== undefined) return
      const retention = effectiveRetention({ retain: this.#options.retentionOf(state), clockJumped: jumped })
      // Nearly all streams have nothing to drop, and there may be thousands: each wait would cost a turn.
      if (pruner.mayDrop(state, retention)) blocks += await this.#prune(state, retention, clock.nowMicros())
    }
    this.#prunedMs = performance.now()
    if (blocks > 0) counters.pruneSeconds.observe((performance.now() - started) / 1000)
  }

  async #prune(state: StreamState, retention: Retention, nowMicros: number): Promise<number> {
    const { pruner, counters, logger } = this.#options
    try {
      let pruned = 0
      for (const prune of [() => pruner.prune(state, retention, nowMicros), () => pruner.pruneTail(state)]) {
        const { blocks, events, storedBytes } = await prune()
        counters.prunedBlocks += blocks
        counters.prunedEvents += events
        counters.prunedBytes += storedBytes
        pruned += blocks
      }
      return pruned
    } catch (error) {
      if (!(error instanceof CorruptRecordError)) throw error
      counters.corruptRecords++
      logger.error({ ...error.place, err: error }, 'cannot prune a stream whose index is damaged')
      return 0
    }
  }

  #watchClock(): boolean {
    const { guard, health, logger } = this.#options
    const jumpMs = guard.check()
    if (jumpMs === 0) {
      health.clear('clock')
      return false
    }
    if (!health.has('clock')) logger.warn({ jumpMs }, 'the wall clock jumped; pruning by age waits')
    const direction = jumpMs > 0 ? 'forward' : 'back'
    health.raise(
      'clock',
      `the wall clock jumped ${direction} by ${String(Math.round(Math.abs(jumpMs) / 1000))} s; ` +
        'pruning by age waits until it has run evenly for an hour',
    )
    return true
  }

  #countUnsealed(): void {
    let bytes = 0
    for (const state of this.#options.streams.born()) {
      for (const block of state.sealable) bytes += block.lineBytes
    }
    this.#unsealedBytes = bytes
  }
}
