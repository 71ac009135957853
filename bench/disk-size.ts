import { execFileSync } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** How long the size of a directory must stay the same before it is measured, and how long that is waited for; milliseconds. */
const SETTLED_MS = 4_000
const SETTLE_AT_MOST_MS = 30_000
const POLL_MS = 250

/** Size of the file that ours keeps for the day when the disk is full; the same for any number of events. */
export function reserveBytes(directory: string): number {
  const [file] = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter(
    (name) => basename(name) === 'reserve',
  )
  return file === undefined ? 0 : statSync(join(directory, file)).size
}

/** Waits until the size of a directory has not changed for a while: what a system tidies up after a burst is done. */
export async function diskSettled(directory: string): Promise<void> {
  const deadline = performance.now() + SETTLE_AT_MOST_MS
  let bytes = -1
  let since = performance.now()
  while (performance.now() < deadline && performance.now() - since < SETTLED_MS) {
    const now = diskBytes(directory)
    if (now !== bytes) {
      bytes = now
      since = performance.now()
    }
    await delay(POLL_MS)
  }
}

/** What a directory takes on its disk. */
export function diskBytes(directory: string): number {
  return Number(execFileSync('du', ['-s', '--block-size=1', directory], { encoding: 'utf8' }).split('\t')[0])
}
