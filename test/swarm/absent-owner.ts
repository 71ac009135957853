import { NamespaceNetwork } from '../support/namespaces.js'
import { Random } from '../support/random.js'
import { delay } from '../faults/kill.js'
import { runTrials, withDirectory, type PartResult, type Tally, type Trials } from '../faults/part.js'
import { ProcessSwarm } from './process-swarm.js'

export const name = 'swarm-absent'

export const nightlyCount = 20

const OWNER = 0
const REPLICAS = [1, 2] as const
const THIRD = 3
const PAUSE_MS = 30
const LIMIT_MS = 30_000

export function unavailable(): string | undefined {
  return NamespaceNetwork.unavailable()
}

/**
 * The owner of streams is killed for good while one of two replicas lags. They complete each other, and a node that has
 * never met the owner. When the owner is back it has lost nothing and goes on.
 */
export function run(trials: Trials): Promise<PartResult> {
  return runTrials(trials, (number, tally) => withDirectory(name, (work) => runTrial(work, number, tally)))
}

async function runTrial(work: string, seed: number, tally: Tally): Promise<void> {
  const random = new Random(seed)
  const swarm = await ProcessSwarm.open({ nodes: 4, work, seed })
  try {
    await swarm.start(OWNER, ...REPLICAS)
    await swarm.connected()
    await swarm.publishWhile(random, PAUSE_MS, delay(500 + random.below(1500)))
    await swarm.converge(LIMIT_MS)

    const lagging = random.pick(REPLICAS)
    await swarm.network.set({ cut: true }, (from, to) => from === lagging || to === lagging)
    await swarm.publishWhile(random, PAUSE_MS, delay(500 + random.below(1500)), [OWNER])
    const other = REPLICAS[0] + REPLICAS[1] - lagging
    await swarm.equallyFar(LIMIT_MS, [OWNER, other])
    await swarm.kill(OWNER)
    await swarm.network.heal()
    await swarm.start(THIRD)
    tally.note('ms to complete a third without the owner', Math.round(await swarm.converge(LIMIT_MS)))

    await swarm.start(OWNER)
    await swarm.publishWhile(random, PAUSE_MS, delay(500))
    await swarm.converge(LIMIT_MS)
  } finally {
    await swarm.close()
  }
}
