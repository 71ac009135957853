import { join } from 'node:path'
import { ApiClient } from '../support/api-client.js'
import { NodeProcess } from '../support/node-process.js'
import { Tally, check, reasonOf, withDirectory, type PartResult, type Trials } from './part.js'

/** A node under fuzz and what its surface needs. */
export interface Fuzzed {
  readonly node: NodeProcess
  readonly client: ApiClient
}

/** What one input did to the node. Throws when it broke a promise. */
export type FuzzInput = (fuzzed: Fuzzed, trial: number, tally: Tally) => Promise<void>

/** Inputs that are in flight at once. */
const LANES = 16

/** Inputs between two looks at the node's health and log. */
const ROUND = 1000

const CONFIG = `
eventRouting:
  routes:
    - { from: "'ephemeral'", into: short }
  streams:
    short: { maxEvents: 100 }
`

/** Sends inputs to one node from several lanes; after each round the node must be alive, well and silent. */
export function fuzzNode(name: string, { from, count, log }: Trials, input: FuzzInput): Promise<PartResult> {
  return withDirectory(name, async (work) => {
    const node = await NodeProcess.start({ data: join(work, 'data'), work: join(work, 'node'), config: CONFIG })
    const client = await ApiClient.open(node.port)
    const tally = new Tally()
    try {
      await client.publish(
        Array.from({ length: 50 }, (_, index) => ({
          tags: ['a', `n:${String(index % 5)}`],
          payload: JSON.stringify({ a: index, b: { c: [index, 'x'] }, 't-emp': index / 7 }),
        })),
      )
      for (let round = from; round < from + count; round += ROUND) {
        await runRound({ node, client }, round, Math.min(round + ROUND, from + count), input, tally, log)
        const problem = await findProblem(node, client.token)
        if (problem !== undefined) {
          tally.fail(`after trials ${String(round)} to ${String(round + ROUND - 1)}: ${problem}`)
          if (!node.running) break
        }
      }
    } finally {
      client.close()
      await node.kill()
    }
    return tally.result()
  })
}

async function runRound(
  fuzzed: Fuzzed,
  from: number,
  to: number,
  input: FuzzInput,
  tally: Tally,
  log: (line: string) => void,
): Promise<void> {
  let next = from
  const lane = async (): Promise<void> => {
    while (next < to && fuzzed.node.running) {
      const trial = next++
      try {
        await input(fuzzed, trial, tally)
        tally.pass()
      } catch (error) {
        log(`trial ${String(trial)}: ${reasonOf(error)}`)
        tally.fail(`trial ${String(trial)}: ${reasonOf(error)}`)
      }
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane))
}

async function findProblem(node: NodeProcess, token: string): Promise<string | undefined> {
  if (!node.running) return `the process died: ${node.output.slice(-800)}`
  try {
    const client = await ApiClient.open(node.port, token)
    const { status } = await client.get('/health')
    check(status === 200, () => `/health answers ${String(status)}`)
    const answer = await client.query("FROM 'a'")
    client.close()
    check(answer.status === 200 && answer.lines.length >= 50, () => 'an honest query gets no honest answer any more')
  } catch (error) {
    return reasonOf(error)
  }
  const [complaint] = node.complaints()
  return complaint === undefined ? undefined : `the log holds an error: ${complaint.slice(0, 600)}`
}
