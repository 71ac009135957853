import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { NodeProcess } from '../support/node-process.js'
import { Random } from '../support/random.js'
import { CONFIG, delay, judge, LANES, publishUntil } from './kill.js'
import { Ledger } from './ledger.js'
import { command, makeImage, withImage } from './mounts.js'
import { needsRoot, reasonOf, Tally, withDirectory, type PartResult, type Trials } from './part.js'

export const name = 'power'

export const nightlyCount = 200

const IMAGE_MEGABYTES = 160

/** Power cuts that one file system lives through. */
const CUTS_PER_IMAGE = 10

export function unavailable(): string | undefined {
  return needsRoot(name)
}

/**
 * Cuts the power of a publishing node: its data are on a file system in a file; the process is stopped, the file copied
 * as it is (what was not synced is not in it), and the node goes on with the copy.
 */
export function run(trials: Trials): Promise<PartResult> {
  return withDirectory('power', async (work) => {
    const tally = new Tally()
    const last = trials.from + trials.count
    for (let from = trials.from; from < last; from += CUTS_PER_IMAGE) {
      await runCuts(work, { ...trials, from, count: Math.min(CUTS_PER_IMAGE, last - from) }, tally)
    }
    return tally.result()
  })
}

async function runCuts(work: string, { from, count, log }: Trials, tally: Tally): Promise<void> {
  const ledger = new Ledger(LANES)
  const image = join(work, 'disk.img')
  await makeImage(image, IMAGE_MEGABYTES)
  for (let trial = from; trial < from + count; trial++) {
    try {
      await cut(work, image, ledger, new Random(trial))
      renameSync(`${image}.cut`, image)
      await withImage(image, join(work, 'mnt'), () => judgeImage(work, ledger))
      tally.pass()
    } catch (error) {
      const reason = `trial ${String(trial)} (file system since ${String(from)}): ${reasonOf(error)}`
      log(reason)
      tally.fail(reason)
      return
    }
  }
  tally.note('acknowledged events', ledger.acknowledged)
}

/** Leaves the state of the disk at the moment of the cut in `<image>.cut`. */
async function cut(work: string, image: string, ledger: Ledger, random: Random): Promise<void> {
  await withImage(image, join(work, 'mnt'), async () => {
    const node = await startOn(work)
    try {
      await publishUntil(node, ledger, random, async () => {
        await delay(20 + random.below(1200))
        node.signal('SIGSTOP')
        // Answers that were on their way still count as acknowledged.
        await delay(50)
        await command('cp', '--sparse=always', image, `${image}.cut`)
        await node.kill()
      })
    } finally {
      await node.kill()
    }
  })
}

async function judgeImage(work: string, ledger: Ledger): Promise<void> {
  const node = await startOn(work)
  try {
    await judge(node, ledger)
  } finally {
    await node.stop()
  }
}

function startOn(work: string): Promise<NodeProcess> {
  return NodeProcess.start({ data: join(work, 'mnt', 'data'), work: join(work, 'node'), config: CONFIG })
}
