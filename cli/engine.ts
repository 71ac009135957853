import { setFlagsFromString } from 'node:v8'

/**
 * Fits V8 to a daemon with a small heap and large buffers.
 *
 * A scan lets go of gigabytes of buffers while the heap stays at 20 MB. V8 would start a full collection after every 8 MB
 * of them: 17 a second, of 5 ms and more. With the greatest growth that V8 gives itself elsewhere, young collections of 1 ms
 * come first and find nearly everything; some 20 MB more are held meanwhile.
 *
 * A device publishes now and then, and after minutes its requests would still run unoptimised: functions get their turn
 * after a seventh of the usual work. Later versions than Node 20 have a compiler in between that does not wait so long.
 */
export function tuneEngine(): void {
  setFlagsFromString('--heap-growing-percent=300')
  if (process.versions.node.startsWith('20.')) setFlagsFromString('--interrupt-budget=10000')
}
