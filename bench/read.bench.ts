import { fork } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { residentBytes } from '../test/support/node-process.js'
import { attempt, type Bench, type BenchContext } from './context.js'
import { diskBytes, diskSettled, reserveBytes } from './disk-size.js'
import { openPublishers, publishCount, publishFor } from './load.js'
import { percentile, repeat, time } from './measure.js'
import type { Peer, Session } from './peer.js'
import { MillraceSession } from './peers/millrace.js'

const SCANS = 4

/** Everything that needs a filled store: load once, then read it, weigh it, restart it. */
export const bench: Bench = {
  name: 'read',
  async run(context) {
    for (const peer of context.peers) {
      // What is on disk does not depend on how often it is synced, and a million messages with a sync each take minutes.
      if (peer.name.endsWith('always')) continue
      await attempt(context, peer, () => measurePeer(context, peer))
    }
  },
}

async function measurePeer(context: BenchContext, peer: Peer): Promise<void> {
  const directory = join(context.directory, peer.name.replaceAll(' ', '-'), 'data')
  const report = (
    work: string,
    unit: string,
    better: 'higher' | 'lower',
    values: readonly number[],
    note?: string,
  ): void => {
    context.report({ work, system: peer.name, unit, better, values, ...(note === undefined ? {} : { note }) })
  }
  let session = await peer.start(directory)
  try {
    const loadMs = await time(() => publishCount(session, { size: 1000, clients: 8 }, context.events))
    report('load', 'ev/s', 'higher', [(context.events / loadMs) * 1000])
    await diskSettled(directory)
    await session.stop()
    const reserve = reserveBytes(directory)
    const note = reserve === 0 ? undefined : `${(reserve / context.events).toFixed(1)} of it reserve for a full disk`
    report('disk per event', 'bytes', 'lower', [diskBytes(directory) / context.events], note)
    const restarts = await repeat(context.runs, () =>
      time(async () => {
        session = await peer.start(directory)
        await session.firstAnswer()
      }).finally(() => session.stop()),
    )
    report('restart to first answer', 'ms', 'lower', restarts)
    session = await peer.start(directory)
    await session.firstAnswer()
    await measureReads(context, session, report)
    report('memory after reading all', 'MB', 'lower', [residentBytes(session.pid) / 1e6])
    if (session instanceof MillraceSession) {
      await measureExpressions(context, session, report)
      await measurePublishUnderScans(context, session, report)
    }
  } finally {
    await session.stop()
  }
}

type Report = (work: string, unit: string, better: 'higher' | 'lower', values: readonly number[], note?: string) => void

async function measureReads(context: BenchContext, session: Session, report: Report): Promise<void> {
  report('memory after start', 'MB', 'lower', [residentBytes(session.pid) / 1e6])
  const scans = await repeat(context.runs, async () => {
    let events = 0
    const ms = await time(async () => {
      events = await session.scan()
    })
    if (events < context.events) throw new Error(`the scan gave ${String(events)} of ${String(context.events)} events`)
    return (events / ms) * 1000
  })
  report('full scan to the wire', 'ev/s', 'higher', scans)
  for (const [share, divisor] of [
    ['hundredth', 100],
    ['thousandth', 1000],
  ] as const) {
    const times = await repeat(context.runs, () =>
      time(async () => {
        const events = await session.select(share)
        const expected = context.events / divisor
        if (Math.abs(events - expected) > expected / 10)
          throw new Error(`${String(events)} events instead of ${String(expected)}`)
      }),
    )
    report(`query of 1/${String(divisor)}`, 'ms', 'lower', times)
  }
}

/** What only ours can do on the server. */
async function measureExpressions(context: BenchContext, session: MillraceSession, report: Report): Promise<void> {
  const queries = {
    'FILTER on a payload field': `FROM allEvents FILTER _.temperature > 79.9`,
    'AGGREGATE of three': `FEATURES(aggregate) FROM allEvents AGGREGATE { n: SUM(1), hottest: MAX(_.temperature), fastest: MAX(_.speed) }`,
  }
  for (const [work, query] of Object.entries(queries)) {
    const rates = await repeat(
      context.runs,
      async () => (context.events / (await time(() => session.read(query)))) * 1000,
    )
    report(`${work}, all events`, 'ev/s read', 'higher', rates)
  }
}

async function measurePublishUnderScans(
  context: BenchContext,
  session: MillraceSession,
  report: Report,
): Promise<void> {
  const publishers = await openPublishers(session, { size: 1, clients: 1 })
  const p99 = async (): Promise<number> => percentile((await publishFor(publishers, 1, context.seconds)).ackMs, 0.99)
  const idle = await repeat(context.runs, p99)
  const scanning = await startScans(session)
  const busy = await repeat(context.runs, p99)
  const scanned = await scanning.stop()
  for (const publisher of publishers) publisher.close()
  report('publish p99, otherwise idle', 'ms', 'lower', idle)
  report(
    `publish p99 while ${String(SCANS)} full scans run`,
    'ms',
    'lower',
    busy,
    `scans read ${String(Math.round(scanned / 1000))} k ev/s`,
  )
}

/** Scans from a process of their own, over and over. */
async function startScans(session: MillraceSession): Promise<{ stop(): Promise<number> }> {
  const client = await session.client()
  const program = fileURLToPath(new URL('./scan-client.js', import.meta.url))
  const child = fork(program, [String(session.node.port), client.token, String(SCANS)])
  client.close()
  await new Promise((resolve) => child.once('message', resolve))
  return {
    stop: () =>
      new Promise((resolve) => {
        child.once('message', (message) => {
          resolve(Number(message))
        })
        child.send('stop')
      }),
  }
}
