import type { Clock } from '../core/index.js'

/** How long a record lives, as it is stored. */
export interface Lifetime {
  readonly ttlMs: number
  /** By the wall clock when it was written. */
  readonly wallDeadlineMs: number
  /** By the time of the run in which it was written, see {@link StateTime.nowMs}. */
  readonly runDeadlineMs: number
  /** Number of that run. */
  readonly run: number
}

/**
 * The time by which records expire. While the node runs it is the monotonic clock that counts, so jumps of the wall clock
 * neither end nor prolong anything; over a restart it is the wall clock, the only one that goes on meanwhile.
 */
export class StateTime {
  readonly run: number
  /** Whether the wall clock was behind what was stored last. */
  readonly isBehind: boolean
  readonly #clock: Clock
  readonly #startWallMs: number
  readonly #startMonotonicMs: number

  /** @param lastWallMs the wall clock at the last commit of the run before */
  constructor(clock: Clock, run: number, lastWallMs: number) {
    const wallMs = clock.nowMicros() / 1000
    this.run = run
    this.#clock = clock
    this.isBehind = wallMs < lastWallMs
    this.#startWallMs = Math.max(wallMs, lastWallMs)
    this.#startMonotonicMs = clock.monotonicMs()
  }

  /** Time of this run: begins with the wall clock, then only goes forward, at the pace of the monotonic clock. */
  get nowMs(): number {
    return this.#startWallMs + Math.max(0, this.#clock.monotonicMs() - this.#startMonotonicMs)
  }

  /** When a lease ends: one of an earlier run lasts its whole time once more, since nobody knows how long the node was down. */
  heldUntilMs({ run, runDeadlineMs, ttlMs }: Lifetime): number {
    return run === this.run ? runDeadlineMs : this.#startWallMs + ttlMs
  }

  get wallMs(): number {
    return this.#clock.nowMicros() / 1000
  }

  lifetime(ttlMs: number): Lifetime {
    return { ttlMs, wallDeadlineMs: this.wallMs + ttlMs, runDeadlineMs: this.nowMs + ttlMs, run: this.run }
  }

  /** When it ends, by the time of this run. */
  deadlineMs({ run, runDeadlineMs, wallDeadlineMs, ttlMs }: Lifetime): number {
    if (run === this.run) return runDeadlineMs
    const remaining = wallDeadlineMs - this.#startWallMs
    return this.#startWallMs + Math.min(Math.max(remaining, 0), ttlMs)
  }

  hasEnded(lifetime: Lifetime | undefined): boolean {
    return lifetime !== undefined && this.nowMs >= this.deadlineMs(lifetime)
  }

  /** Roughly when it ends by the wall clock, for people: milliseconds since 1970. */
  expiresAt(lifetime: Lifetime | undefined): number | undefined {
    return lifetime === undefined ? undefined : Math.round(this.wallMs + this.deadlineMs(lifetime) - this.nowMs)
  }
}
