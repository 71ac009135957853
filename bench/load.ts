import type { Publisher, Session } from './peer.js'

/** What a load phase achieved. */
export interface LoadResult {
  readonly eventsPerSecond: number
  /** Time from request to acknowledgement, milliseconds, one entry per request. */
  readonly ackMs: readonly number[]
}

export interface Shape {
  /** Events per request. */
  readonly size: number
  readonly clients: number
}

/** Opens one connection per client and makes their input, so that neither is part of a measurement. */
export async function openPublishers(
  session: Pick<Session, 'publisher'>,
  { size, clients }: Shape,
): Promise<readonly Publisher[]> {
  const publishers: Publisher[] = []
  for (let client = 0; client < clients; client++) publishers.push(await session.publisher())
  await Promise.all(publishers.map((publisher, index) => publisher.publish(index * size, size)))
  return publishers
}

/** Each client sends its next request when the last one is acknowledged, until the time is over. */
export async function publishFor(publishers: readonly Publisher[], size: number, seconds: number): Promise<LoadResult> {
  const ackMs: number[] = []
  const begin = performance.now()
  const end = begin + seconds * 1000
  let next = publishers.length
  let events = 0
  await Promise.all(
    publishers.map(async (publisher) => {
      for (let sent = performance.now(); sent < end;) {
        await publisher.publish(next++ * size, size)
        const now = performance.now()
        ackMs.push(now - sent)
        events += size
        sent = now
      }
    }),
  )
  return { eventsPerSecond: (events / (performance.now() - begin)) * 1000, ackMs }
}

/** Publishes exactly `events` events (rounded up to whole requests). */
export async function publishCount(session: Pick<Session, 'publisher'>, shape: Shape, events: number): Promise<void> {
  const publishers: Publisher[] = []
  for (let client = 0; client < shape.clients; client++) publishers.push(await session.publisher())
  const requests = Math.ceil(events / shape.size)
  let next = 0
  await Promise.all(
    publishers.map(async (publisher) => {
      while (next < requests) await publisher.publish(next++ * shape.size, shape.size)
      publisher.close()
    }),
  )
}
