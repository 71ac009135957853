// `npm run bench [-- PART …] [--runs N] [--seconds N] [--events N] [--only NAME …] [--docs]`: measures ours beside others
// in one run. Prints one JSON line per figure as it comes and a table at the end; --docs also writes docs/benchmarks.md
// when all parts run, and the pages that parts have of their own.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { Bench, BenchContext } from './context.js'
import { bench as live } from './live.bench.js'
import type { Measurement } from './measure.js'
import type { Peer } from './peer.js'
import { millrace } from './peers/millrace.js'
import { nats } from './peers/nats.js'
import { redis } from './peers/redis.js'
import { bench as publish } from './publish.bench.js'
import { bench as raw } from './raw.bench.js'
import { bench as read } from './read.bench.js'
import { environment, jsonLine, table } from './report.js'
import { bench as scale } from './scale.bench.js'
import { bench as sizing } from './sizing.bench.js'
import { bench as state } from './state.bench.js'
import { bench as swarm } from './swarm.bench.js'
import { bench as write } from './write.bench.js'

const PARTS: readonly Bench[] = [raw, publish, live, read, write, state, swarm, scale, sizing]
const PEERS: readonly Peer[] = [millrace(), nats('default'), nats('always'), redis('everysec'), redis('always')]

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '2' },
    events: { type: 'string', default: '1000000' },
    only: { type: 'string', multiple: true, default: [] },
    docs: { type: 'boolean', default: false },
  },
})

const measurements: Measurement[] = []
const missing: string[] = []
const where = environment()
const loadBefore = loadAverage()

for (const name of positionals.filter((wanted) => !PARTS.some((part) => part.name === wanted))) {
  console.error(`no such part: ${name}. There are: ${PARTS.map((part) => part.name).join(', ')}`)
  process.exit(2)
}
const peers = await findPeers()
for (const part of PARTS) {
  if (positionals.length === 0 || positionals.includes(part.name)) await runPart(part)
}
const text = table(measurements)
console.log(`\n${text}\n${missing.join('\n')}`)
// A page with the figures of some parts only would be missing the others.
if (flags.docs && positionals.length === 0) writeFileSync('docs/benchmarks.md', document(text))

function wants(name: string): boolean {
  return flags.only.length === 0 || flags.only.includes(name)
}

async function findPeers(): Promise<readonly Peer[]> {
  const found: Peer[] = []
  for (const peer of PEERS) {
    if (!wants(peer.name)) continue
    const reason = await peer.missing()
    if (reason === undefined) found.push(peer)
    else missing.push(`Missing: ${peer.name}: ${reason}`)
  }
  return found
}

/** A part that fails is reported like a missing peer; the others still run. */
async function runPart(part: Bench): Promise<void> {
  const directory = resolve(join('.cache', 'bench', part.name))
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  const context: BenchContext = {
    runs: Number(flags.runs),
    seconds: Number(flags.seconds),
    events: Number(flags.events),
    directory,
    peers,
    wants,
    report: (measurement) => {
      measurements.push(measurement)
      console.log(jsonLine(measurement, where))
    },
    document: (path, text) => {
      if (flags.docs) writeFileSync(path, text)
    },
    fail: (what) => {
      fail(`${part.name}: ${what}`)
    },
  }
  try {
    await part.run(context)
  } catch (error) {
    fail(`${part.name}: ${error instanceof Error ? error.message : String(error)}`)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function fail(what: string): void {
  console.error(`failed: ${what}`)
  missing.push(`Failed: ${what}`)
  process.exitCode = 1
}

/** Of the last five minutes. */
function loadAverage(): string {
  return (loadavg()[1] ?? 0).toFixed(1)
}

function document(rows: string): string {
  return `# Benchmarks

Made by \`npm run bench -- --docs\`, which starts every system itself on the same machine and lets them take turns.
Events of about 200 bytes of payload, one tag on all, one on 10 %, one on 1 %. Ours acknowledges only what is synced
(\`storage.sync: always\`). Server and client share the cores. Absolute figures depend on the machine and on what else
it does; ratios far less. "Ours is better by" above 1 means that ours is ahead. What is missed and why:
[what stands in the way of speed](decisions/0006-what-stands-in-the-way-of-speed.md). What becomes of it with 100 nodes: [how a swarm grows](benchmarks-scale.md).

- ${where.date}, commit ${where.commit}, ${String(where.cores)} × ${where.cpu}, Node ${where.node}
- processes that wanted a core on average, 5 minutes before and at the end: ${loadBefore} and ${loadAverage()} (the bench itself takes
  about two; beyond that something else was running, and figures of synced work suffer most)
- ${flags.runs} runs of ${flags.seconds} s each; ${Number(flags.events).toLocaleString('en-US')} events for everything that reads

${rows}
${missing.length === 0 ? '' : `\n${missing.map((line) => `- ${line}`).join('\n')}\n`}`
}
