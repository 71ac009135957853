import { join } from 'node:path'
import { attempt, type Bench, type BenchContext } from './context.js'
import { openPublishers, publishFor, type Shape } from './load.js'
import { median, percentile } from './measure.js'
import type { Session } from './peer.js'

const SHAPES: readonly Shape[] = [
  { size: 1, clients: 1 },
  { size: 1, clients: 8 },
  { size: 1, clients: 64 },
  { size: 100, clients: 8 },
  { size: 1000, clients: 8 },
]

/** How many events per second are acknowledged, and how long one acknowledgement takes. All systems take turns. */
export const bench: Bench = {
  name: 'publish',
  async run(context) {
    const sessions = new Map<string, Session>()
    try {
      for (const peer of context.peers) {
        await attempt(context, peer, async () => {
          sessions.set(peer.name, await peer.start(join(context.directory, peer.name.replaceAll(' ', '-'), 'data')))
        })
      }
      for (const shape of SHAPES) await measureShape(context, sessions, shape)
    } finally {
      for (const session of sessions.values()) await session.stop()
    }
  },
}

async function measureShape(
  context: BenchContext,
  sessions: ReadonlyMap<string, Session>,
  shape: Shape,
): Promise<void> {
  const rates = new Map<string, number[]>()
  const medians = new Map<string, number[]>()
  const tails = new Map<string, number[]>()
  for (let run = 0; run < context.runs; run++) {
    for (const [name, session] of sessions) {
      const publishers = await openPublishers(session, shape)
      const { eventsPerSecond, ackMs } = await publishFor(publishers, shape.size, context.seconds)
      for (const publisher of publishers) publisher.close()
      add(rates, name, eventsPerSecond)
      add(medians, name, median(ackMs))
      add(tails, name, percentile(ackMs, 0.99))
    }
  }
  const what = `publish ${String(shape.size)} event${shape.size === 1 ? '' : 's'}, ${String(shape.clients)} client${shape.clients === 1 ? '' : 's'}`
  for (const [system, values] of rates) context.report({ work: what, system, unit: 'ev/s', better: 'higher', values })
  for (const [system, values] of medians)
    context.report({ work: `${what}, ack p50`, system, unit: 'ms', better: 'lower', values })
  for (const [system, values] of tails)
    context.report({ work: `${what}, ack p99`, system, unit: 'ms', better: 'lower', values })
}

function add(lists: Map<string, number[]>, name: string, value: number): void {
  const list = lists.get(name)
  if (list === undefined) lists.set(name, [value])
  else list.push(value)
}
