import { join } from 'node:path'
import { createNetworkKey } from '../../replication/index.js'
import { MillraceSession } from '../peers/millrace.js'
import { freePort } from '../server-process.js'
import type { Pair, PairSession, SecondServer } from './pair.js'

/** Two daemons with the settings that everybody gets, but for the search in the local network. */
export const millracePair: Pair = {
  name: 'millrace',
  async start(directory): Promise<PairSession> {
    const key = createNetworkKey()
    const port = await freePort()
    const first = await MillraceSession.start(join(directory, 'data'), swarmConfig(key, port, []))
    return {
      first,
      join: (where) => joinMillrace(first, key, port, where),
      stop: () => first.stop(),
    }
  },
}

async function joinMillrace(
  first: MillraceSession,
  key: string,
  firstPort: number,
  directory: string,
): Promise<SecondServer> {
  const port = await freePort()
  const session = await MillraceSession.start(join(directory, 'data'), swarmConfig(key, port, [firstPort]))
  return {
    session,
    ports: [firstPort, port],
    isLevel: async () => {
      const [there, here] = await Promise.all([first.offsets(), session.offsets()])
      return Object.entries(there).every(([stream, offset]) => here[stream] === offset)
    },
  }
}

function swarmConfig(key: string, port: number, peers: readonly number[]): string {
  const address = (at: number): string => `/ip4/127.0.0.1/tcp/${String(at)}`
  return `swarm: { key: '${key}', listen: ['${address(port)}'], peers: ${JSON.stringify(peers.map(address))}, mdns: false }\n`
}
