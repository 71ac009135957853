import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ApiClient } from '../support/api-client.js'
import { NodeProcess, type NodeProcessOptions } from '../support/node-process.js'
import { Random } from '../support/random.js'
import { withClient } from './full-disk.js'
import { delay } from './kill.js'
import { Ledger, type Lane } from './ledger.js'
import { runTrials, withDirectory, type PartResult, type Tally, type Trials } from './part.js'

export const name = 'clock'

export const nightlyCount = 60

/** Debian's place for it (package faketime), per architecture. */
const LIBRARY = ['x86_64', 'aarch64']
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketimeMT.so.1`)
  .find((path) => existsSync(path))

const JUMPS = ['-1h', '+1d', '-10y'] as const

const CONFIG = `
storage:
  block: { maxEvents: 64, maxBytes: 16KiB }
  pruneInterval: 1s
eventRouting:
  routes:
    - { from: "'lane:recent'", into: recent }
    - { from: "'lane:orders'", into: orders }
  streams:
    recent: { maxAge: 1h }
`

/** Longer than two prune intervals, so that a wrong decision about ages would have been carried out. */
const PRUNE_MS = 2500

export function unavailable(): string | undefined {
  return LIBRARY === undefined ? `needs Debian's faketime: apt-get install faketime` : undefined
}

/**
 * The wall clock jumps under a running node, or while it is stopped. Order, offsets and lamports must not care, and a
 * jump under a running node must not make it delete what is only old by the wrong clock.
 */
export function run(trials: Trials): Promise<PartResult> {
  return runTrials(trials, (number, tally) => withDirectory(name, (work) => runTrial(work, number, tally)))
}

async function runTrial(work: string, number: number, tally: Tally): Promise<void> {
  const random = new Random(number)
  const jump = JUMPS[number % JUMPS.length] ?? '-1h'
  const isRunning = Math.floor(number / JUMPS.length) % 2 === 0
  const clockFile = join(work, 'clock')
  mkdirSync(join(work, 'node'), { recursive: true })
  writeFileSync(clockFile, '+0s\n')
  const recent: { tag: string; keepAtLeast: number | undefined } = { tag: 'lane:recent', keepAtLeast: undefined }
  const lanes: readonly Lane[] = [recent, { tag: 'lane:orders', keepAtLeast: undefined }]
  const ledger = new Ledger(lanes)
  const options = { data: join(work, 'data'), work: join(work, 'node'), config: CONFIG, env: fakeTime(clockFile) }

  await live(options, ledger, random, async () => {
    if (!isRunning) return
    writeFileSync(clockFile, `${jump}\n`)
    await delay(PRUNE_MS)
  })
  // Events of the time before are a day old now by any clock that this start can see: they may go.
  if (jump === '+1d') recent.keepAtLeast = 0
  writeFileSync(clockFile, `${jump}\n`)
  await live(options, ledger, random, () => delay(PRUNE_MS))
  writeFileSync(clockFile, '+0s\n')
  await live(options, ledger, random, () => Promise.resolve())
  tally.note(`jump of ${jump} ${isRunning ? 'under a running node' : 'while it was stopped'}`)
}

/** One life of the node: everything is there, publish, something happens, everything is there, publish, again. */
async function live(
  options: NodeProcessOptions,
  ledger: Ledger,
  random: Random,
  happen: () => Promise<void>,
): Promise<void> {
  const node = await NodeProcess.start(options)
  try {
    const work = async (client: ApiClient): Promise<void> => {
      await ledger.verify(client)
      for (let batch = 0; batch < 20; batch++) await ledger.publish(client, random, 1 + random.below(20))
      await ledger.verify(client)
    }
    await withClient(node, work)
    await happen()
    // A new connection has a new token: a day ahead the old one has expired, as it should.
    await withClient(node, work)
  } finally {
    await node.stop()
  }
}

function fakeTime(clockFile: string): Readonly<Record<string, string>> {
  return {
    LD_PRELOAD: LIBRARY ?? '',
    FAKETIME_TIMESTAMP_FILE: clockFile,
    FAKETIME_NO_CACHE: '1',
    // Timers must go on as they are: only the wall clock jumps.
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  }
}
