import { join } from 'node:path'
import { attempt, type Bench, type BenchContext } from './context.js'
import { median, percentile } from './measure.js'
import type { Publisher, Session } from './peer.js'

const RATES = [100, 1000] as const

/** Publishers that take turns, so that a slow acknowledgement does not hold back the schedule. */
const PUBLISHERS = 8

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

async function measureLatencies(session: Session, rate: number, count: number): Promise<readonly number[]> {
  const sentAt = new Float64Array(count)
  const latencies: number[] = []
  let done: () => void = () => undefined
  const complete = new Promise<void>((resolve) => {
    done = resolve
  })
  const subscription = await session.subscribe((text) => {
    const number = Number(/"live":(\d+)/.exec(text)?.[1] ?? -1)
    const sent = sentAt[number]
    if (sent === undefined || sent === 0) return
    latencies.push(performance.now() - sent)
    sentAt[number] = 0
    if (latencies.length === count) done()
  })
  const publishers: Publisher[] = []
  for (let index = 0; index < PUBLISHERS; index++) publishers.push(await session.publisher())
  await sendOnSchedule(publishers, rate, sentAt)
  await Promise.race([
    complete,
    timeout(30_000, () => `${String(latencies.length)} of ${String(count)} events arrived`),
  ])
  subscription.close()
  for (const publisher of publishers) publisher.close()
  return latencies
}

async function sendOnSchedule(publishers: readonly Publisher[], rate: number, sentAt: Float64Array): Promise<void> {
  const chains: Promise<void>[] = publishers.map(() => Promise.resolve())
  const begin = performance.now()
  for (let next = 0; next < sentAt.length;) {
    const due = Math.min(sentAt.length, Math.floor(((performance.now() - begin) / 1000) * rate) + 1)
    for (; next < due; next++) {
      const number = next
      const slot = number % publishers.length
      sentAt[number] = performance.now()
      const publish = async (): Promise<void> => publishers[slot]?.publishText(payloadOf(number))
      chains[slot] = (chains[slot] ?? Promise.resolve()).then(publish)
    }
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  await Promise.all(chains)
}

function payloadOf(number: number): string {
  return `{"live":${String(number)},"text":"${'0123456789abcdef'.repeat(11)}"}`
}

function timeout(milliseconds: number, reason: () => string): Promise<never> {
  return new Promise((_, reject) => {
    setTimeout(() => {
      reject(new Error(reason()))
    }, milliseconds).unref()
  })
}
