import type { Clock } from '../core/index.js'

/** Difference between wall and monotonic clock that counts as a jump, milliseconds: 5 minutes. */
const JUMP_MS = 5 * 60_000

/** Agreement after which a jump is forgotten, and after which slow drift is, milliseconds: an hour. */
const CALM_MS = 60 * 60_000

/** Notices jumps of the wall clock, by which ages would be wrong. Looks only when asked. */
export class ClockGuard {
  readonly #clock: Clock
  #wallMs: number
  #monotonicMs: number
  /** How far the clock jumped, milliseconds, forward or back; 0 when there is nothing to remember. */
  #jumpMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.#wallMs = clock.nowMicros() / 1000
    this.#monotonicMs = clock.monotonicMs()
  }

  /** @returns by how many milliseconds the clock jumped within the last hour of unrest, 0 when ages can be trusted */
  check(): number {
    const wallMs = this.#clock.nowMicros() / 1000
    const monotonicMs = this.#clock.monotonicMs()
    const elapsed = monotonicMs - this.#monotonicMs
    const drift = wallMs - this.#wallMs - elapsed
    if (Math.abs(drift) > JUMP_MS) this.#jumpMs = drift
    else if (elapsed >= CALM_MS) this.#jumpMs = 0
    if (Math.abs(drift) > JUMP_MS || elapsed >= CALM_MS) {
      this.#wallMs = wallMs
      this.#monotonicMs = monotonicMs
    }
    return this.#jumpMs
  }
}
