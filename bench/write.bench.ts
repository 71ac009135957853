import { join } from 'node:path'
import { writtenBytes } from '../test/support/node-process.js'
import { attempt, type Bench, type BenchContext } from './context.js'
import { benchEvent } from './events.js'
import { publishCount } from './load.js'
import type { Peer } from './peer.js'

const PAGE_BYTES = 4096

/** Seconds in which a node that nobody talks to must write nothing; background work after a load ends before. */
const SETTLE_SECONDS = 5
const IDLE_SECONDS = 20

/** What the process causes to be written to storage, as the kernel counts it, while it runs. */
export const bench: Bench = {
  name: 'write',
  async run(context) {
    for (const peer of context.peers) {
      await attempt(context, peer, async () => {
        await measureAmplification(context, peer, 100, context.events / 5)
        await measureAmplification(context, peer, 10, context.events / 20)
        await measureAmplification(context, peer, 1, Math.min(5000, context.events / 20))
      })
    }
  },
}

async function measureAmplification(context: BenchContext, peer: Peer, size: number, events: number): Promise<void> {
  const directory = join(context.directory, `${peer.name.replaceAll(' ', '-')}-${String(size)}`, 'data')
  const session = await peer.start(directory)
  try {
    const before = writtenBytes(session.pid)
    await publishCount(session, { size, clients: 1 }, events)
    await seconds(SETTLE_SECONDS)
    const written = writtenBytes(session.pid) - before
    const common = { system: peer.name, better: 'lower' } as const
    if (size === 1) {
      const pages = written / PAGE_BYTES / events
      context.report({ ...common, work: 'written per commit of 1', unit: '4 KiB pages', values: [pages] })
      await seconds(IDLE_SECONDS)
      const idle = writtenBytes(session.pid) - before - written
      context.report({
        ...common,
        work: `written in ${String(IDLE_SECONDS)} idle seconds`,
        unit: 'bytes',
        values: [idle],
      })
    } else {
      const work = `written per payload byte, commits of ${String(size)}`
      context.report({ ...common, work, unit: 'bytes', values: [written / (events * averagePayload())] })
    }
  } finally {
    await session.stop()
  }
}

function averagePayload(): number {
  let bytes = 0
  for (let number = 0; number < 1000; number++) bytes += benchEvent(number).payload.length
  return bytes / 1000
}

function seconds(count: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, count * 1000))
}
