import type { LineEvent } from '../../core/index.js'
import type { LiveSubscriber } from './live-index.js'

/** Bytes of buffers that one subscription may hold on to while its reader is slow. */
const MAX_HELD_BYTES = 1024 * 1024

/** Events that may wait for a slow reader. */
const MAX_HELD_EVENTS = 4096

/**
 * New events that wait for the reader of one subscription. When they become too many they are let go, and the reader
 * finds out that it is behind and reads them from the store instead: so the memory of a subscription is bounded, and a
 * slow reader loses nothing.
 */
export class LiveFeed implements LiveSubscriber {
  #events: LineEvent[] = []
  #heldBytes = 0
  #newestBuffer: Uint8Array | undefined
  #behind = false
  #wake: (() => void) | undefined

  offer(event: LineEvent): void {
    if (this.#behind) return
    this.#hold(event)
    if (this.#heldBytes > MAX_HELD_BYTES || this.#events.length > MAX_HELD_EVENTS) this.#fallBehind()
    this.#wake?.()
  }

  /** Starts anew from an empty queue: what came before this call has to be read from the store. */
  restart(): void {
    this.#behind = false
    this.#clear()
  }

  /**
   * Waits for events and takes all that are there.
   *
   * @returns `'behind'` when events had to be let go, nothing when the signal ended the wait
   */
  async take(signal: AbortSignal): Promise<readonly LineEvent[] | 'behind' | undefined> {
    while (!signal.aborted) {
      if (this.#behind) return 'behind'
      if (this.#events.length > 0) {
        const events = this.#events
        this.#clear()
        return events
      }
      await this.#wait(signal)
    }
    return undefined
  }

  async #wait(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        this.#wake = undefined
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.#wake = wake
      signal.addEventListener('abort', wake)
    })
  }

  #hold(event: LineEvent): void {
    // Neighbours share the buffer of their commit, which is held as a whole.
    if (event.bytes !== this.#newestBuffer) {
      this.#newestBuffer = event.bytes
      this.#heldBytes += event.bytes.byteLength
    }
    this.#events.push(event)
  }

  #fallBehind(): void {
    // A single commit beyond the bound would otherwise be read again for ever; it is in memory anyway.
    if (this.#events.every((event) => event.bytes === this.#newestBuffer)) return
    this.#behind = true
    this.#clear()
  }

  #clear(): void {
    this.#events = []
    this.#heldBytes = 0
    this.#newestBuffer = undefined
  }
}
