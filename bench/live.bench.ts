import { join } from 'node:path'
import { attempt, type Bench, type BenchContext } from './context.js'
import { measureLatencies } from './latency.js'
import { median, percentile } from './measure.js'
import type { Session } from './peer.js'

const RATES = [100, 1000] as const

/** From the call of publish to the event at a subscriber of the same node, both in one client process. */
export const bench: Bench = {
  name: 'live',
  async run(context) {
    for (const rate of RATES) {
      for (const peer of context.peers) {
        await attempt(context, peer, async () => {
          const session = await peer.start(
            join(context.directory, `${peer.name.replaceAll(' ', '-')}-${String(rate)}`, 'data'),
          )
          try {
            await measureRate(context, peer.name, session, rate)
          } finally {
            await session.stop()
          }
        })
      }
    }
  },
}

async function measureRate(context: BenchContext, system: string, session: Session, rate: number): Promise<void> {
  const medians: number[] = []
  const tails: number[] = []
  for (let run = 0; run < context.runs; run++) {
    const latencies = await measureLatencies(session, rate, rate * Math.max(2, context.seconds))
    // The first fifth warms the code on both sides.
    const warm = latencies.slice(Math.floor(latencies.length / 5))
    medians.push(median(warm))
    tails.push(percentile(warm, 0.99))
  }
  const work = `live latency at ${String(rate)}/s`
  context.report({ work: `${work}, p50`, system, unit: 'ms', better: 'lower', values: medians })
  context.report({ work: `${work}, p99`, system, unit: 'ms', better: 'lower', values: tails })
}
