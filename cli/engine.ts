import { setFlagsFromString } from 'node:v8'
import { makeRoomForGarbage } from './garbage-room.js'

/**
 * Fits V8 to a daemon with a small heap and large buffers. Of the whole process, so only a process that is nothing but a
 * node calls this.
 *
 * A device publishes now and then, and after minutes its requests would still run unoptimised: functions get their turn
 * after a seventh of the usual work. Later versions than Node 20 have a compiler in between that does not wait so long.
 */
export function tuneEngine(): void {
  makeRoomForGarbage()
  if (process.versions.node.startsWith('20.')) setFlagsFromString('--interrupt-budget=10000')
}
