import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { ApiClient } from '../support/api-client.js'
import { describeExit, NodeProcess, type NodeProcessOptions } from '../support/node-process.js'
import { Random } from '../support/random.js'
import { Ledger, type Lane } from './ledger.js'
import { check, reasonOf, Tally, withDirectory, type PartResult, type Trials } from './part.js'

export const name = 'kill'

export const nightlyCount = 1000

/** Crashes that one data directory lives through before a new one takes its place. */
const CRASHES_PER_DIRECTORY = 25

const PUBLISHERS = 3

/** Small blocks, so that each life seals and prunes many times. */
export const CONFIG = `
storage:
  block: { maxEvents: 64, maxBytes: 16KiB }
  pruneInterval: 1s
eventRouting:
  routes:
    - { from: "'lane:orders'", into: orders }
    - { from: "'lane:readings'", into: readings }
  streams:
    readings: { maxEvents: 200 }
`

export const LANES: readonly Lane[] = [
  { tag: 'lane:default', keepAtLeast: undefined },
  { tag: 'lane:orders', keepAtLeast: undefined },
  { tag: 'lane:readings', keepAtLeast: 200 },
]

export function unavailable(): string | undefined {
  return undefined
}

/**
 * Kills a publishing node (SIGKILL) again and again, sometimes while it starts, and holds what it serves after each
 * restart against a record kept outside.
 */
export function run(trials: Trials): Promise<PartResult> {
  return withDirectory('kill', async (work) => {
    const tally = new Tally()
    const last = trials.from + trials.count
    for (let from = trials.from; from < last; from += CRASHES_PER_DIRECTORY) {
      const until = Math.min(from + CRASHES_PER_DIRECTORY, last)
      await runLives(
        { data: join(work, 'data'), work, config: CONFIG },
        { ...trials, from, count: until - from },
        tally,
      )
      rmSync(join(work, 'data'), { recursive: true, force: true })
    }
    return tally.result()
  })
}

/** Crash after crash on one directory. Each crash is judged at the start that follows it. */
async function runLives(options: NodeProcessOptions, { from, count, log }: Trials, tally: Tally): Promise<void> {
  const ledger = new Ledger(LANES)
  for (let trial = from; trial <= from + count; trial++) {
    const isLast = trial === from + count
    const random = new Random(trial)
    try {
      if (!isLast && random.chance(0.1)) await killWhileStarting(options, random)
      const node = await NodeProcess.start(options)
      try {
        await judge(node, ledger)
        if (trial > from) tally.pass()
        if (!isLast) await crash(node, ledger, random)
      } finally {
        await node.kill()
      }
    } catch (error) {
      const reason = `trial ${String(Math.max(from, trial - 1))} (directory since ${String(from)}): ${reasonOf(error)}`
      log(reason)
      tally.fail(reason)
      return
    }
  }
  tally.note('acknowledged events', ledger.acknowledged)
  tally.note('events sent', ledger.sent)
}

async function killWhileStarting(options: NodeProcessOptions, random: Random): Promise<void> {
  const starting = NodeProcess.spawn(options)
  starting.ready.catch(() => undefined)
  await delay(random.below(400))
  await starting.kill()
}

/** Holds a running node against the record. */
export async function judge(node: NodeProcess, ledger: Ledger): Promise<void> {
  const client = await ApiClient.open(node.port)
  try {
    await ledger.verify(client)
  } finally {
    client.close()
  }
}

function crash(node: NodeProcess, ledger: Ledger, random: Random): Promise<void> {
  return publishUntil(node, ledger, random, async () => {
    await delay(5 + random.below(250))
    const exit = await node.kill()
    check(
      exit.signal === 'SIGKILL',
      () => `the process ended by itself: ${describeExit(exit)} ${node.output.slice(-400)}`,
    )
  })
}

/**
 * Publishes from several connections until `end` has ended the process.
 *
 * @throws Error when a publish fails for any other reason
 */
export async function publishUntil(
  node: NodeProcess,
  ledger: Ledger,
  random: Random,
  end: () => Promise<void>,
): Promise<void> {
  const clients = await Promise.all(Array.from({ length: PUBLISHERS }, () => ApiClient.open(node.port)))
  const publishers = clients.map(async (client, index) => {
    const own = new Random(random.uint32() + index)
    try {
      for (;;) await ledger.publish(client, own, own.pick([1, 1, 1, 5, 20, 100, 400]))
    } catch (error) {
      if (!client.connection.closed) throw error
    } finally {
      client.close()
    }
  })
  const outcome = Promise.allSettled(publishers)
  await end()
  for (const result of await outcome) if (result.status === 'rejected') throw result.reason
}

/** The moment of the fault is part of the trial; nothing is waited for. */
export function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
