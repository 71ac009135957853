import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { writtenBytes } from '../test/support/node-process.js'
import type { Bench, BenchContext } from './context.js'
import { measureLatencies } from './latency.js'
import { openPublishers, publishCount, publishFor } from './load.js'
import { median, percentile, type Measurement } from './measure.js'
import { hypercorePair } from './pairs/hypercore-pair.js'
import { millracePair } from './pairs/millrace-pair.js'
import { natsPair } from './pairs/nats-pair.js'
import type { Pair, PairSession, SecondServer } from './pairs/pair.js'
import { redisPair } from './pairs/redis-pair.js'
import { cpuMs, wireBytes } from './process-figures.js'

const PAIRS: readonly Pair[] = [millracePair, natsPair('default'), natsPair('always'), redisPair, hypercorePair]

/** Events that a new server fetches. */
const CATCH_UP_EVENTS = 200_000
const FILL = { size: 100, clients: 8 } as const
const LATENCY_RATE = 100
/** Nothing happens for so long, after as long for what was under way, ms. */
const IDLE_MS = 10_000
const LEVEL_TIMEOUT_MS = 300_000

/** Two servers on one machine, of which the second holds what the first is given. */
export const bench: Bench = {
  name: 'swarm',
  async run(context) {
    for (const pair of PAIRS) {
      if (!(await canRun(context, pair))) continue
      const directory = join(context.directory, pair.name.replaceAll(' ', '-'))
      try {
        await measurePair(context, pair, directory)
      } catch (error) {
        context.fail(`${pair.name}: ${error instanceof Error ? error.message : String(error)}`)
      }
      rmSync(directory, { recursive: true, force: true })
    }
  },
}

/** Whether it is wanted and there. */
async function canRun(context: BenchContext, pair: Pair): Promise<boolean> {
  const { name } = pair
  if (pair.missing === undefined) return context.peers.some((peer) => peer.name === name)
  if (!context.wants(name)) return false
  const reason = await pair.missing()
  if (reason !== undefined) context.fail(`${name}: ${reason}`)
  return reason === undefined
}

async function measurePair(context: BenchContext, pair: Pair, directory: string): Promise<void> {
  const report = (work: string, unit: string, better: Measurement['better'], values: readonly number[]): void => {
    context.report({ work, system: pair.name, unit, better, values })
  }
  const session = await pair.start(join(directory, 'first'))
  try {
    await publishCount(session.first, FILL, CATCH_UP_EVENTS)
    await measureCatchUp(context, session, directory, report)
    const second = await joinAndLevel(session, join(directory, 'second'))
    try {
      await measureIdle(session, second, report)
      await measureLatency(context, session, second, report)
      await measureLoad(context, session, second, report)
    } finally {
      await second.session.stop()
    }
  } finally {
    await session.stop()
  }
}

type Report = (work: string, unit: string, better: Measurement['better'], values: readonly number[]) => void

/** A new server with all to fetch, again and again. */
async function measureCatchUp(
  context: BenchContext,
  session: PairSession,
  directory: string,
  report: Report,
): Promise<void> {
  const rates: number[] = []
  const cpu: number[] = []
  const bytes: number[] = []
  for (let run = 0; run < context.runs; run++) {
    const where = join(directory, `catch-up-${String(run)}`)
    const firstCpu = cpuMs(session.first.pid)
    const second = await session.join(where)
    try {
      const began = performance.now()
      await level(second)
      rates.push((CATCH_UP_EVENTS / (performance.now() - began)) * 1000)
      const spent = cpuMs(session.first.pid) - firstCpu + cpuMs(second.session.pid)
      cpu.push((spent / CATCH_UP_EVENTS) * 1000)
      bytes.push((await wireBytes(second.session.pid, second.ports)) / CATCH_UP_EVENTS)
    } finally {
      await second.session.stop()
    }
    rmSync(where, { recursive: true, force: true })
  }
  report('new node: fetches 200 k events', 'ev/s', 'higher', rates)
  report('new node: CPU of both, its start included', 'µs/event', 'lower', cpu)
  report('new node: bytes between both', 'bytes/event', 'lower', bytes)
}

/** What two servers that agree say to each other and write. */
async function measureIdle({ first }: PairSession, second: SecondServer, report: Report): Promise<void> {
  await pause(IDLE_MS)
  const pids = [first.pid, second.session.pid]
  const wireBefore = await wireBytes(second.session.pid, second.ports)
  const diskBefore = pids.map(writtenBytes)
  await pause(IDLE_MS)
  const wire = (await wireBytes(second.session.pid, second.ports)) - wireBefore
  const disk = pids.reduce((sum, pid, at) => sum + writtenBytes(pid) - (diskBefore[at] ?? 0), 0)
  report('idle pair: bytes between both', 'bytes/s', 'lower', [(wire / IDLE_MS) * 1000])
  report('idle pair: written to disk', 'bytes/s', 'lower', [(disk / IDLE_MS) * 1000])
}

/** From the call of publish at the first server to the event at a subscriber of the second. */
async function measureLatency(
  context: BenchContext,
  { first }: PairSession,
  { session }: SecondServer,
  report: Report,
): Promise<void> {
  const way = { publisher: () => first.publisher(), subscribe: session.subscribe.bind(session) }
  const medians: number[] = []
  const tails: number[] = []
  const cpu: number[] = []
  for (let run = 0; run < context.runs; run++) {
    const before = cpuMs(first.pid) + cpuMs(session.pid)
    const count = LATENCY_RATE * Math.max(2, context.seconds)
    const latencies = await measureLatencies(way, LATENCY_RATE, count)
    cpu.push(((cpuMs(first.pid) + cpuMs(session.pid) - before) / count) * 1000)
    // The first fifth warms the code.
    const warm = latencies.slice(Math.floor(latencies.length / 5))
    medians.push(median(warm))
    tails.push(percentile(warm, 0.99))
  }
  report('event to another node at 100/s, p50', 'ms', 'lower', medians)
  report('event to another node at 100/s, p99', 'ms', 'lower', tails)
  report('event to another node at 100/s, CPU of both', 'µs/event', 'lower', cpu)
}

/** How fast the first server takes events while the second follows, and how long it takes to be level afterwards. */
async function measureLoad(
  context: BenchContext,
  { first }: PairSession,
  second: SecondServer,
  report: Report,
): Promise<void> {
  const rates: number[] = []
  const lags: number[] = []
  const cpu: number[] = []
  const bytes: number[] = []
  const publishers = await openPublishers(first, FILL)
  for (let run = 0; run < context.runs; run++) {
    await level(second)
    const pids = [first.pid, second.session.pid]
    const cpuBefore = pids.map(cpuMs)
    const wireBefore = await wireBytes(second.session.pid, second.ports)
    const { eventsPerSecond, ackMs } = await publishFor(publishers, FILL.size, context.seconds)
    const ended = performance.now()
    await level(second)
    lags.push(performance.now() - ended)
    rates.push(eventsPerSecond)
    const events = ackMs.length * FILL.size
    const spent = pids.reduce((sum, pid, at) => sum + cpuMs(pid) - (cpuBefore[at] ?? 0), 0)
    cpu.push((spent / events) * 1000)
    bytes.push(((await wireBytes(second.session.pid, second.ports)) - wireBefore) / events)
  }
  for (const publisher of publishers) publisher.close()
  report('followed load: 100 events, 8 clients', 'ev/s', 'higher', rates)
  report('followed load: until the other has all', 'ms', 'lower', lags)
  report('followed load: CPU of both', 'µs/event', 'lower', cpu)
  report('followed load: bytes between both', 'bytes/event', 'lower', bytes)
}

async function joinAndLevel(session: PairSession, directory: string): Promise<SecondServer> {
  const second = await session.join(directory)
  try {
    await level(second)
    return second
  } catch (error) {
    await second.session.stop()
    throw error
  }
}

async function level(second: SecondServer): Promise<void> {
  const endMs = performance.now() + LEVEL_TIMEOUT_MS
  while (!(await second.isLevel())) {
    if (performance.now() > endMs) throw new Error('the second server does not get all events')
    await pause(5)
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
