import { NatsSession, type NatsSync } from '../peers/nats.js'
import { freePort } from '../server-process.js'
import type { Pair, PairSession, SecondServer } from './pair.js'

/** A hub and a leaf node whose stream mirrors that of the hub, each with a domain of its own, as NATS advises for the edge. */
export function natsPair(sync: NatsSync): Pair {
  return {
    name: sync === 'always' ? 'NATS sync always' : 'NATS default',
    async start(directory): Promise<PairSession> {
      const port = await freePort()
      const first = await NatsSession.start(directory, {
        sync,
        lines: `server_name: hub\nleafnodes { listen: "127.0.0.1:${String(port)}" }`,
        jetstreamLines: 'domain: hub',
      })
      return { first, join: (where) => joinNats(first, sync, port, where), stop: () => first.stop() }
    },
  }
}

async function joinNats(first: NatsSession, sync: NatsSync, port: number, directory: string): Promise<SecondServer> {
  const session = await NatsSession.start(directory, {
    sync,
    lines: `server_name: leaf\nleafnodes { remotes: [ { url: "nats://127.0.0.1:${String(port)}" } ] }`,
    jetstreamLines: 'domain: leaf',
    mirror: { name: 'EVENTS', external: { api: '$JS.hub.API' } },
  })
  return {
    session,
    ports: [port],
    isLevel: async () => {
      const [there, here] = await Promise.all([first.count(), session.count()])
      return here === there
    },
  }
}
