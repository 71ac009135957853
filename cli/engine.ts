import { performance, type EventLoopUtilization } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'
import { makeRoomForGarbage } from './garbage-room.js'

/** Work after which a function gets its turn to be optimised, in V8's measure: while there is time to spare, and V8's own. */
const EAGER_BUDGET = 10_000
const USUAL_BUDGET = 67_584

/** How often it is looked whether there is time to spare, ms. */
const LOOK_EVERY_MS = 500
/** Part of the time that the event loop worked, above which there is none. */
const BUSY = 0.6

/**
 * Fits V8 to a daemon with a small heap and large buffers. Of the whole process, so only a process that is nothing but a
 * node calls this.
 */
export function tuneEngine(): void {
  makeRoomForGarbage()
  if (process.versions.node.startsWith('20.')) optimiseWhileIdle()
}

/**
 * A device publishes now and then, and after minutes its requests would still run unoptimised: functions get their turn
 * after a seventh of the usual work. Under load they come to it soon enough, and optimising what is called a few hundred times
 * takes more time than it gives: fetching 200,000 events from another node took an eighth longer. Later versions than Node 20 have a
 * compiler in between that does not wait so long.
 */
function optimiseWhileIdle(): void {
  let before: EventLoopUtilization = performance.eventLoopUtilization()
  let current = USUAL_BUDGET
  setInterval(() => {
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, before)
    before = now
    const budget = utilization > BUSY ? USUAL_BUDGET : EAGER_BUDGET
    if (budget === current) return
    current = budget
    setFlagsFromString(`--interrupt-budget=${String(budget)}`)
  }, LOOK_EVERY_MS).unref()
}
