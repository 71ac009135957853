import { setTimeout as delay } from 'node:timers/promises'
import type { Health } from './health.js'
import type { ReserveFile } from './reserve-file.js'
import {
  describeError,
  StoreClosedError,
  StoreCorruptError,
  StoreFullError,
  StoreIoError,
  StoreReadOnlyError,
  toStoreError,
} from './store-errors.js'
import type { StoreLogger } from './store-options.js'

/** First and longest wait between two looks at a disk that refused a write, milliseconds. */
const FIRST_WAIT_MS = 500
const MAX_WAIT_MS = 30_000

export interface DiskGuardOptions {
  readonly reserve: ReserveFile
  readonly health: Health
  readonly logger: StoreLogger
  /** Opens the databases anew. */
  readonly reopen: () => Promise<void>
  /** Compares them with what was acknowledged. Throws when something is missing. */
  readonly verify: () => Promise<void>
  /** Called when a refusal begins or ends. */
  readonly changed: () => void
}

/**
 * What happens when the disk refuses a write: publishers are refused, reads go on, and the databases, which LevelDB keeps
 * in error until they are opened anew, come back by themselves once the disk takes writes again.
 */
export class DiskGuard {
  readonly #options: DiskGuardOptions
  readonly #stopping = new AbortController()
  #recovering: Promise<void> | undefined
  #starting: Promise<void> | undefined

  constructor(options: DiskGuardOptions) {
    this.#options = options
  }

  /** Takes the reserve in the background. */
  start(): void {
    this.#starting = this.#options.reserve.create().catch((error: unknown) => {
      this.failed(toStoreError(error, 'cannot reserve room on the disk'))
    })
  }

  /** To be told of every write that failed. */
  failed(error: unknown): void {
    if (error instanceof StoreClosedError || this.#stopping.signal.aborted) return
    const { health, logger, changed } = this.#options
    const cause = toStoreError(error, 'cannot write')
    if (cause instanceof StoreFullError) {
      health.raise(
        'disk',
        `${cause.message}; publishing goes on when there is room`,
        (text) => new StoreFullError(text),
      )
    } else if (cause instanceof StoreIoError) {
      health.raise('disk', `${cause.message}; publishing goes on when the disk works`, (text) => new StoreIoError(text))
    } else {
      const text = `${describeError(cause)}; publishing stops until the cause is found and the node is started again`
      health.raise('write', text, (reason) =>
        cause instanceof StoreCorruptError ? new StoreReadOnlyError(reason) : new StoreIoError(reason),
      )
    }
    changed()
    if (health.has('disk') && this.#recovering === undefined) {
      logger.error({ err: cause }, 'the disk refuses writes')
      this.#recovering = this.#recover().finally(() => (this.#recovering = undefined))
    }
  }

  /** Ends a recovery under way. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#starting
    await this.#recovering
  }

  async #recover(): Promise<void> {
    const { health, logger, changed } = this.#options
    let waitMs = FIRST_WAIT_MS
    let isOpen = false
    while (!this.#stopping.signal.aborted) {
      try {
        if (!isOpen) isOpen = await this.#reopen()
        if (await this.#isUsable()) {
          // Whatever failed meanwhile may have put the databases in error again.
          await this.#reopen()
          await this.#options.verify()
          health.clear('disk')
          logger.info({}, 'the disk takes writes again')
          changed()
          return
        }
      } catch (error) {
        if (error instanceof StoreCorruptError) {
          health.raise('write', error.message, (text) => new StoreReadOnlyError(text))
        }
        logger.warn({ err: error }, 'the disk does not take writes yet')
      }
      await delay(waitMs, undefined, { signal: this.#stopping.signal, ref: false }).catch(() => undefined)
      waitMs = Math.min(2 * waitMs, MAX_WAIT_MS)
    }
  }

  /**
   * As they are the databases still read, so they are closed only when they can be opened again: the disk takes a write,
   * and there is room, for which the reserve is given up.
   */
  async #reopen(): Promise<true> {
    const { reserve, reopen } = this.#options
    if (!(await reserve.hasRoom())) await reserve.release()
    await reserve.probe()
    await reopen()
    return true
  }

  /** Whether there is room for the reserve and as much again. */
  async #isUsable(): Promise<boolean> {
    const { reserve } = this.#options
    if (!(await reserve.hasRoom())) return false
    await reserve.create()
    await reserve.probe()
    return true
  }
}
