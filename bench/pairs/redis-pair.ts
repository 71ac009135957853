import { RedisSession } from '../peers/redis.js'
import type { Pair, PairSession, SecondServer } from './pair.js'

/** A server and its replica. */
export const redisPair: Pair = {
  name: 'Redis everysec',
  async start(directory): Promise<PairSession> {
    const first = await RedisSession.start(directory, 'everysec', { 'repl-diskless-sync-delay': '0' })
    return { first, join: (where) => joinRedis(first, where), stop: () => first.stop() }
  },
}

async function joinRedis(first: RedisSession, directory: string): Promise<SecondServer> {
  const session = await RedisSession.start(directory, 'everysec', { replicaof: `127.0.0.1 ${String(first.port)}` })
  return {
    session,
    ports: [first.port],
    isLevel: async () => {
      // While it loads what it was sent it answers with an error.
      const [there, here] = await Promise.all([first.newest(), session.newest().catch(() => 'loading')])
      return here === there
    },
  }
}
