import type { LinkFaults } from '../support/link-faults.js'
import { testLevel } from '../support/level.js'
import { NamespaceNetwork } from '../support/namespaces.js'
import { Random } from '../support/random.js'
import { delay } from '../faults/kill.js'
import { reasonOf, Tally, withDirectory, type PartResult, type Trials } from '../faults/part.js'
import { ProcessSwarm } from './process-swarm.js'

export const name = 'swarm'

export const nightlyCount = 100

const NODES = 5
/** Rounds that one swarm lives through. */
const ROUNDS_PER_SWARM = 25
/** After the cut is over all nodes must be equally far within this, ms. Test runs share the machine with others. */
const CONVERGE_MS = testLevel() === 'nightly' ? 10_000 : 30_000
/** The same on ways so bad that every byte takes its time, ms. */
const CONVERGE_SLOWLY_MS = 60_000

/** Between two batches of one node, on average, ms. */
const PAUSE_MS = 300

/** What ways between nodes may be like for a round, beside being cut. */
const WAYS: readonly { readonly name: string; readonly faults: Partial<LinkFaults>; readonly slow: boolean }[] = [
  { name: 'good ways', faults: {}, slow: false },
  { name: 'good ways', faults: {}, slow: false },
  { name: '100 ms delay', faults: { delayMs: 100, jitterMs: 5 }, slow: false },
  { name: '10 % loss', faults: { loss: 0.1 }, slow: true },
  { name: '10 % loss and 100 ms delay', faults: { loss: 0.1, delayMs: 100 }, slow: true },
  { name: '1 Mbit/s', faults: { bitsPerSecond: 1_000_000 }, slow: true },
]

const GOOD: Partial<LinkFaults> = { cut: false, loss: 0, delayMs: 0, jitterMs: 0, bitsPerSecond: Infinity }

export function unavailable(): string | undefined {
  return NamespaceNetwork.unavailable()
}

/**
 * Daemons publish while the network between them is cut in a random way, sometimes bad as well, and some of them are
 * killed. When the cut is over they must have the same events within ten seconds, with nothing lost that was acknowledged.
 */
export function run(trials: Trials): Promise<PartResult> {
  return withDirectory('swarm', async (work) => {
    const tally = new Tally()
    const last = trials.from + trials.count
    for (let from = trials.from; from < last; from += ROUNDS_PER_SWARM) {
      const count = Math.min(ROUNDS_PER_SWARM, last - from)
      await runSwarm(`${work}/${String(from)}`, { ...trials, from, count }, tally)
    }
    return tally.result()
  })
}

async function runSwarm(work: string, { from, count, log }: Trials, tally: Tally): Promise<void> {
  const swarm = await ProcessSwarm.open({ nodes: NODES, work, seed: from })
  const all = Array.from({ length: NODES }, (_, node) => node)
  try {
    await swarm.start(...all)
    await swarm.connected()
    for (let trial = from; trial < from + count; trial++) {
      try {
        await runRound(swarm, new Random(trial), tally, (line) => {
          log(`round ${String(trial)}: ${line}`)
        })
        tally.pass()
      } catch (error) {
        const reason = `trial ${String(trial)} (swarm since ${String(from)}): ${reasonOf(error)}`
        log(reason)
        tally.fail(reason)
        return
      }
    }
    tally.note(
      'acknowledged events',
      all.reduce((sum, node) => sum + swarm.ledger(node).acknowledged, 0),
    )
  } finally {
    await swarm.close()
  }
}

async function runRound(swarm: ProcessSwarm, random: Random, tally: Tally, log: (line: string) => void): Promise<void> {
  const way = random.pick(WAYS)
  const cut = randomCut(random)
  const victim = random.chance(0.4) ? random.below(NODES) : undefined
  const [beforeMs, cutMs, restMs] = [
    random.below(1000),
    500 + random.below(random.pick([2_000, 8_000, 20_000])),
    random.below(1000),
  ]
  await swarm.network.set(way.faults)
  const events = async (): Promise<void> => {
    await delay(beforeMs)
    await swarm.network.set({ cut: true }, cut.isCut)
    if (victim !== undefined) await killAndStart(swarm, victim, random.below(cutMs), random.below(2_000))
    await delay(cutMs)
    await swarm.network.heal()
  }
  await swarm.publishWhile(random, PAUSE_MS, events())
  if (victim !== undefined && !swarm.running.includes(victim)) await swarm.start(victim)
  const tookMs = await swarm.converge(way.slow ? CONVERGE_SLOWLY_MS : CONVERGE_MS)
  await swarm.network.set(GOOD)
  await delay(restMs)
  const parts = [
    way.name,
    `${cut.name} cut for ${String(cutMs)} ms`,
    ...(victim === undefined ? [] : [`node ${String(victim)} killed`]),
  ]
  log(`${parts.join(', ')}: converged after ${String(Math.round(tookMs))} ms`)
  tally.note(`${way.name}${victim === undefined ? '' : ', a kill'}`)
  tally.note('ms to converge in all', Math.round(tookMs))
}

async function killAndStart(swarm: ProcessSwarm, victim: number, afterMs: number, awayMs: number): Promise<void> {
  await delay(afterMs)
  await swarm.kill(victim)
  await delay(awayMs)
  await swarm.start(victim)
}

/** Which directed links are cut. */
function randomCut(random: Random): { readonly name: string; readonly isCut: (from: number, to: number) => boolean } {
  const sides = Array.from({ length: NODES }, () => random.below(2))
  const lonely = random.below(NODES)
  const pairs = new Set(
    Array.from({ length: 5 }, () => `${String(random.below(NODES))}-${String(random.below(NODES))}`),
  )
  return random.pick([
    { name: `sides ${sides.join('')}`, isCut: (from: number, to: number) => sides[from] !== sides[to] },
    { name: `node ${String(lonely)} alone`, isCut: (from: number, to: number) => from === lonely || to === lonely },
    { name: 'all alone', isCut: () => true },
    { name: `node ${String(lonely)} unheard`, isCut: (from: number) => from === lonely },
    {
      name: `links ${[...pairs].join(' ')}`,
      isCut: (from: number, to: number) => pairs.has(`${String(from)}-${String(to)}`),
    },
  ])
}
