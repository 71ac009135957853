import type { Publisher, Session } from './peer.js'

/** Publishers that take turns, so that a slow acknowledgement does not hold back the schedule. */
const PUBLISHERS = 8

/** Where events go in and where they are awaited, which need not be the same server. */
export type Way = Pick<Session, 'publisher' | 'subscribe'>

/**
 * Publishes on schedule and measures each event from the call of publish to its being at the subscriber, milliseconds.
 *
 * @param rate events per second
 */
export async function measureLatencies(way: Way, rate: number, count: number): Promise<readonly number[]> {
  const sentAt = new Float64Array(count)
  const latencies: number[] = []
  let done: () => void = () => undefined
  const complete = new Promise<void>((resolve) => {
    done = resolve
  })
  const subscription = await way.subscribe((text) => {
    const number = Number(/"live":(\d+)/.exec(text)?.[1] ?? -1)
    const sent = sentAt[number]
    if (sent === undefined || sent === 0) return
    latencies.push(performance.now() - sent)
    sentAt[number] = 0
    if (latencies.length === count) done()
  })
  const publishers: Publisher[] = []
  for (let index = 0; index < PUBLISHERS; index++) publishers.push(await way.publisher())
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
