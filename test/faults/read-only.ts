import { join } from 'node:path'
import { Refusal, type ApiClient } from '../support/api-client.js'
import { NodeProcess, StartFailure } from '../support/node-process.js'
import { Random } from '../support/random.js'
import { withClient } from './full-disk.js'
import { CONFIG, LANES } from './kill.js'
import { Ledger } from './ledger.js'
import { command, makeImage, withImage } from './mounts.js'
import { check, needsRoot, runTrials, withDirectory, type PartResult, type Tally, type Trials } from './part.js'

export const name = 'read-only'

export const nightlyCount = 20

const IMAGE_MEGABYTES = 128

/** Exit code of a start that is refused because of its data directory. */
const REFUSED = 73

export function unavailable(): string | undefined {
  return needsRoot(name)
}

/**
 * The file system becomes read-only under a running node, as ext4 does when its disk fails, and later under a stopped
 * one. Publishers are refused, readers served; after a repair everything acknowledged is there.
 */
export function run(trials: Trials): Promise<PartResult> {
  return runTrials(trials, (number, tally) => withDirectory(name, (work) => runTrial(work, number, tally)))
}

async function runTrial(work: string, number: number, tally: Tally): Promise<void> {
  const random = new Random(number)
  const image = join(work, 'disk.img')
  const mount = join(work, 'mnt')
  const options = { data: join(mount, 'data'), work: join(work, 'node'), config: CONFIG }
  const ledger = new Ledger(LANES)
  await makeImage(image, IMAGE_MEGABYTES)
  await withImage(image, mount, async () => {
    await withNode(options, async (node) => {
      await withClient(node, (client) => publishSome(client, ledger, random))
      await command('mount', '-o', 'remount,abort', mount)
      await withClient(node, async (client) => {
        await checkRefused(client, ledger, random)
        await ledger.verify(client)
      })
      check(node.running, () => `the process died: ${node.output.slice(-400)}`)
    })
  })
  await withImage(image, mount, async () => {
    await withNode(options, (node) => withClient(node, (client) => judgeRepaired(client, ledger, random)))
    await command('mount', '-o', 'remount,ro', mount)
    tally.note(await startReadOnly(options, ledger))
  })
}

async function judgeRepaired(client: ApiClient, ledger: Ledger, random: Random): Promise<void> {
  await ledger.verify(client)
  await publishSome(client, ledger, random)
  await ledger.verify(client)
}

async function publishSome(client: ApiClient, ledger: Ledger, random: Random): Promise<void> {
  for (let batch = 0; batch < 60; batch++) await ledger.publish(client, random, 1 + random.below(40))
}

async function checkRefused(client: ApiClient, ledger: Ledger, random: Random): Promise<void> {
  for (let attempt = 0; attempt < 5; attempt++) {
    try {
      await ledger.publish(client, random, 3)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      check(error.status === 503, () => `a read-only disk is answered with ${error.message}`)
      continue
    }
    throw new Error('a publish was acknowledged on a read-only disk')
  }
}

/** A start on a read-only file system is refused with a word, or gives a node that reads. @returns which */
async function startReadOnly(options: Parameters<typeof NodeProcess.start>[0], ledger: Ledger): Promise<string> {
  try {
    await withNode(options, (node) => withClient(node, (client) => ledger.verify(client)))
    return 'started for reading'
  } catch (error) {
    if (!(error instanceof StartFailure)) throw error
    check(error.exit?.code === REFUSED, () => error.message)
    check(error.output !== '', () => 'refused to start without a word')
    return 'refused to start on a read-only file system'
  }
}

async function withNode<T>(
  options: Parameters<typeof NodeProcess.start>[0],
  work: (node: NodeProcess) => Promise<T>,
): Promise<T> {
  const node = await NodeProcess.start(options)
  try {
    return await work(node)
  } finally {
    await node.stop()
  }
}
