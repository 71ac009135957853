import { systemClock, type Clock } from '../../core/index.js'

/** Time and timers, so that a simulation can decide when what happens. */
export interface SwarmTime extends Clock {
  /** @returns what cancels it */
  after(delayMs: number, run: () => void): () => void
  /** Tells the time that something real is under way, such as a write: a simulated one stands still until it is done. */
  hold<T>(work: Promise<T>): Promise<T>
}

/** The time of the machine. Timers do not keep the process alive. */
export function systemTime(clock: Clock = systemClock): SwarmTime {
  return {
    nowMicros: () => clock.nowMicros(),
    monotonicMs: () => clock.monotonicMs(),
    after: (delayMs, run) => {
      const timer = setTimeout(run, delayMs)
      timer.unref()
      return () => {
        clearTimeout(timer)
      }
    },
    hold: (work) => work,
  }
}
