import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { ok, problem, warning, type Finding } from './finding.js'

/** The oldest Node that the package takes. */
const OLDEST_NODE = [20, 19] as const

export function checkNodeVersion(version = process.versions.node): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [oldestMajor, oldestMinor] = OLDEST_NODE
  const isFit = major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)
  const needed = `${String(oldestMajor)}.${String(oldestMinor)}`
  return isFit
    ? ok('node.js', `version ${version}`)
    : problem('node.js', `version ${version}`, `install Node ${needed} or newer`)
}

/** Years in which a clock can be right. */
const FIRST_YEAR = 2025
const LAST_YEAR = 2100

/** How long the clock is watched, and by how much it may be off in that time, milliseconds. */
const WATCHED_MS = 250
const MOST_DRIFT_MS = 50

/** Two readings of both clocks, milliseconds. */
export interface ClockReading {
  readonly wallMs: number
  readonly monotonicMs: number
}

function readClocks(): ClockReading {
  return { wallMs: Date.now(), monotonicMs: performance.now() }
}

/** Events carry the time of the wall clock, and limits by age act on it. */
export function judgeClock(first: ClockReading, last: ClockReading): Finding {
  const year = new Date(last.wallMs).getUTCFullYear()
  const time = new Date(last.wallMs).toISOString()
  if (year < FIRST_YEAR || year > LAST_YEAR) {
    return problem('clock', `it is ${time}`, 'set the clock before the node starts: events carry its time for good')
  }
  const drift = last.wallMs - first.wallMs - (last.monotonicMs - first.monotonicMs)
  return Math.abs(drift) > MOST_DRIFT_MS
    ? warning(
        'clock',
        `it jumped by ${drift.toFixed(0)} ms while it was watched`,
        'have a time service slew the clock instead of setting it; the node trusts no ages for a while after a jump',
      )
    : ok('clock', `it is ${time}, and runs evenly`)
}

export async function checkClock(): Promise<Finding> {
  const first = readClocks()
  await delay(WATCHED_MS)
  return judgeClock(first, readClocks())
}
