import { join } from 'node:path'
import { ApiClient, Refusal } from '../support/api-client.js'
import { NodeProcess, type NodeProcessOptions } from '../support/node-process.js'
import { Random } from '../support/random.js'
import { delay } from './kill.js'
import { Ledger, type Lane } from './ledger.js'
import { resizeTmpfs, withTmpfs } from './mounts.js'
import { check, needsRoot, runTrials, withDirectory, type PartResult, type Tally, type Trials } from './part.js'

export const name = 'full-disk'

export const nightlyCount = 20

const CONFIG = `
eventRouting:
  routes:
    - { from: "'lane:orders'", into: orders }
`

const LANES: readonly Lane[] = [
  { tag: 'lane:default', keepAtLeast: undefined },
  { tag: 'lane:orders', keepAtLeast: undefined },
]

/** Milliseconds in which a node must notice that there is room again. */
const RECOVERY_MS = 60_000

export function unavailable(): string | undefined {
  return needsRoot(name)
}

/**
 * Publishes until the disk is full. Then publishers must be refused, readers served, a killed node must come back, and
 * publishing must go on by itself when there is room; nothing acknowledged may be missing at any time.
 */
export function run(trials: Trials): Promise<PartResult> {
  return runTrials(trials, (number, tally) => withDirectory(name, (work) => runTrial(work, number, tally)))
}

function runTrial(work: string, number: number, tally: Tally): Promise<void> {
  const random = new Random(number)
  const mount = join(work, 'mnt')
  const megabytes = 44 + random.below(24)
  return withTmpfs(mount, megabytes, async () => {
    const options = { data: join(mount, 'data'), work: join(work, 'node'), config: CONFIG }
    const ledger = new Ledger(LANES, 1500)
    let node = await NodeProcess.start(options)
    try {
      await fillDisk(node, ledger, random)
      await withClient(node, (client) => ledger.verify(client))
      if (number % 2 === 1) node = await killAndRestart(node, options, ledger)
      await resizeTmpfs(mount, megabytes + 64)
      await waitForPublish(node, ledger, random)
      await withClient(node, (client) => ledger.verify(client))
      node = await killAndRestart(node, options, ledger)
      tally.note('acknowledged events', ledger.acknowledged)
    } finally {
      await node.kill()
    }
  })
}

async function killAndRestart(node: NodeProcess, options: NodeProcessOptions, ledger: Ledger): Promise<NodeProcess> {
  await node.kill()
  const next = await NodeProcess.start(options)
  await withClient(next, (client) => ledger.verify(client))
  return next
}

/** Publishes until it is refused some times in a row; any other failure is one. */
async function fillDisk(node: NodeProcess, ledger: Ledger, random: Random): Promise<void> {
  const deadline = performance.now() + RECOVERY_MS
  await withClient(node, async (client) => {
    for (let refusals = 0; refusals < 5;) {
      check(performance.now() < deadline, () => 'the disk does not become full')
      if (await isAccepted(client, ledger, random)) refusals = 0
      else refusals++
    }
  })
}

async function waitForPublish(node: NodeProcess, ledger: Ledger, random: Random): Promise<void> {
  const deadline = performance.now() + RECOVERY_MS
  await withClient(node, async (client) => {
    while (!(await isAccepted(client, ledger, random))) {
      check(performance.now() < deadline, () => 'publishing does not resume although there is room')
      await delay(100)
    }
  })
}

async function isAccepted(client: ApiClient, ledger: Ledger, random: Random): Promise<boolean> {
  try {
    await ledger.publish(client, random, 1 + random.below(100))
    return true
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    check(error.status === 503, () => `a full disk is answered with ${error.message}`)
    return false
  }
}

export async function withClient<T>(node: NodeProcess, work: (client: ApiClient) => Promise<T>): Promise<T> {
  const client = await ApiClient.open(node.port)
  try {
    return await work(client)
  } finally {
    client.close()
  }
}
