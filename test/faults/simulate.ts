import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { check, Tally, type PartResult, type Trials } from './part.js'
import type { Outcome } from '../simulation/simulation.js'

export const name = 'simulate'

export const nightlyCount = 2000

/** Simulations run in processes of their own, in which nothing is as usual; as many at a time. */
const PROCESSES = 2
const MAIN = fileURLToPath(new URL('../simulation/main.js', import.meta.url))
/** Most objects of a simulation die young. */
const NODE_OPTIONS = ['--max-semi-space-size=64']
/** Of what a process says when it ends badly. */
const MAX_OUTPUT = 4000

export function unavailable(): string | undefined {
  return undefined
}

/** Runs swarms whose network, disks, clocks, faults and operations a seed decides; all their nodes have to agree in the end. */
export async function run({ from, count, log }: Trials): Promise<PartResult> {
  const tally = new Tally()
  const seeds = Array.from({ length: PROCESSES }, (_, at) => ({
    from: from + Math.floor((at * count) / PROCESSES),
    to: from + Math.floor(((at + 1) * count) / PROCESSES),
  }))
  await Promise.all(
    seeds.map(async (part) => {
      for (let next = part.from; next < part.to;) {
        next = await runProcess(next, part.to, (seed, reason) => {
          if (reason === undefined) tally.pass()
          else {
            const text = `seed ${seed}: ${reason}; again: node dist/test/simulation/main.js --from ${seed} --verbose`
            log(text)
            tally.fail(text)
          }
        })
      }
    }),
  )
  return tally.result()
}

/** Runs one seed in a process of its own. */
export async function simulateOnce(seed: number): Promise<Outcome> {
  let found: Outcome | undefined
  const text = await runMain(seed, 1, (outcome) => (found = outcome))
  check(found !== undefined, () => `seed ${seed} has no outcome: ${text}`)
  return found
}

/** Returns where to go on: a process that ends badly fails its seed only. */
async function runProcess(
  from: number,
  to: number,
  report: (seed: number, reason: string | undefined) => void,
): Promise<number> {
  let next = from
  const text = await runMain(from, to - from, ({ seed, faults }) => {
    next = seed + 1
    report(seed, faults.length === 0 ? undefined : faults.slice(0, 5).join('; '))
  })
  if (next >= to) return to
  report(next, `the simulation ended: ${text}`)
  return next + 1
}

/** Resolves with what the process complained about. */
async function runMain(from: number, count: number, onOutcome: (outcome: Outcome) => void): Promise<string> {
  const child = spawn(process.execPath, [...NODE_OPTIONS, MAIN, '--from', String(from), '--count', String(count)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let complaint = ''
  child.stderr.on('data', (bytes: Buffer) => {
    complaint = (complaint + bytes.toString()).slice(-MAX_OUTPUT)
  })
  const closed = new Promise((resolve) => child.once('close', resolve))
  for await (const line of createInterface({ input: child.stdout })) onOutcome(JSON.parse(line) as Outcome)
  await closed
  return complaint
}
