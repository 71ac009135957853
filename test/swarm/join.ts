import { createHash } from 'node:crypto'
import type { ApiClient } from '../support/api-client.js'
import { testLevel } from '../support/level.js'
import { NamespaceNetwork } from '../support/namespaces.js'
import { residentBytes } from '../support/node-process.js'
import { check, runTrials, withDirectory, type PartResult, type Tally, type Trials } from '../faults/part.js'
import { ProcessSwarm } from './process-swarm.js'

export const name = 'swarm-join'

export const nightlyCount = 3

const EVENTS = testLevel() === 'nightly' ? 1_000_000 : 100_000
const BATCH = 1000
/** Events that are published by another node while the new one catches up. */
const MEANWHILE = 200
const LIMIT_MS = 600_000
const MAX_RESIDENT_BYTES = 1024 ** 3

export function unavailable(): string | undefined {
  return NamespaceNetwork.unavailable()
}

/** A node without data joins two that hold many events, while these go on publishing, and has all of them in the end. */
export function run(trials: Trials): Promise<PartResult> {
  return runTrials(trials, (number, tally) => withDirectory(name, (work) => runTrial(work, number, tally, trials.log)))
}

async function runTrial(work: string, seed: number, tally: Tally, log: Trials['log']): Promise<void> {
  const swarm = await ProcessSwarm.open({ nodes: 3, work, seed, config: '' })
  try {
    await swarm.start(0, 1)
    await swarm.connected()
    await Promise.all([publish(swarm.client(0), EVENTS / 2), publish(swarm.client(1), EVENTS / 2)])
    await swarm.equallyFar(LIMIT_MS)
    const startMs = performance.now()
    await swarm.start(2)
    const meanwhile = publishSlowly(swarm.client(0), MEANWHILE)
    await swarm.equallyFar(LIMIT_MS)
    const seconds = (performance.now() - startMs) / 1000
    await meanwhile
    await swarm.equallyFar(LIMIT_MS)
    const resident = residentBytes(swarm.process(2).pid)
    const digests = await Promise.all(swarm.running.map((node) => digest(swarm.client(node))))
    check(new Set(digests).size === 1, () => 'the nodes answer differently')
    check(resident < MAX_RESIDENT_BYTES, () => `the new node takes ${String(resident >> 20)} MiB`)
    log(`joined ${String(EVENTS)} events in ${seconds.toFixed(1)} s, ${String(resident >> 20)} MiB resident`)
    tally.note(`seconds to join ${String(EVENTS)} events`, Math.round(seconds))
  } finally {
    await swarm.close()
  }
}

async function publish(client: ApiClient, events: number): Promise<void> {
  for (let first = 0; first < events; first += BATCH) {
    const drafts = Array.from({ length: Math.min(BATCH, events - first) }, (_, at) => draft(first + at))
    await client.publish(drafts)
  }
}

async function publishSlowly(client: ApiClient, events: number): Promise<void> {
  for (let at = 0; at < events; at++) await client.publish([draft(at)])
}

function draft(at: number): { readonly tags: string[]; readonly payload: string } {
  return { tags: ['reading', `sensor:${String(at % 100)}`], payload: `{"at":${String(at)},"value":${String(at / 7)}}` }
}

/** Of the whole answer, in its order. */
async function digest(client: ApiClient): Promise<string> {
  const hash = createHash('sha256')
  const reply = await client.queryInto('FROM allEvents', 'asc', (chunk) => {
    hash.update(chunk)
  })
  check(reply.status === 200, () => `query refused: ${String(reply.status)}`)
  return hash.digest('hex')
}
