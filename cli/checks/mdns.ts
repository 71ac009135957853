import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import type { Settings } from '../../config/index.js'
import { ok, warning, type Finding } from './finding.js'
import { mdnsQuestion, readMdns } from './mdns-message.js'

const MDNS_PORT = 5353
const MDNS_GROUP = '224.0.0.251'

/** Nodes answer at once; so long is waited for all of them, milliseconds. */
const ANSWERS_MS = 750

const INSTEAD = 'name them in swarm.peers, and set swarm.mdns to false'

/**
 * Whether nodes in the local network can find each other: asks for those of the swarm, as nodes do.
 *
 * @param runs whether the node of these settings runs on this machine, so that at least one has to answer
 */
export async function checkMdns({ swarm }: Settings, runs: boolean): Promise<Finding[]> {
  if (swarm.key === undefined || !swarm.mdns) return []
  const { mdnsServiceOf } = await import('../../node/index.js')
  const addresses = localAddresses()
  if (addresses.length === 0) return [warning('mdns', 'not tried: this machine has no IPv4 address', INSTEAD)]
  try {
    return [judge(await ask(mdnsServiceOf(swarm.key), addresses), runs)]
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return [warning('mdns', `not possible here, so nodes in the local network are not found: ${reason}`, INSTEAD)]
  }
}

/** IPv4 addresses of the networks that this machine is in; its own if there is none. */
function localAddresses(): readonly string[] {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  const usable = all.filter(({ family }) => family === 'IPv4')
  const outside = usable.filter(({ internal }) => !internal)
  return (outside.length > 0 ? outside : usable).map(({ address }) => address)
}

/** What has come in on a question. */
export interface MdnsEcho {
  /** Whether the question came back, as it does where multicast works. */
  readonly isHeard: boolean
  /** Nodes of the swarm that answered. */
  readonly nodes: number
}

export function judge({ isHeard, nodes }: MdnsEcho, runs: boolean): Finding {
  if (nodes > 0) {
    const own = runs ? ', this one included' : ''
    return ok('mdns', `${String(nodes)} node${nodes === 1 ? '' : 's'} of the swarm answered${own}`)
  }
  const question = `a question to ${MDNS_GROUP}:${String(MDNS_PORT)}`
  if (!isHeard) {
    const advice = `let UDP port ${String(MDNS_PORT)} through the firewall; or ${INSTEAD}`
    return warning('mdns', `${question} did not come back: multicast is blocked`, advice)
  }
  return runs
    ? warning(
        'mdns',
        `${question} came back, but the node itself did not answer it`,
        'restart the node; its log says why',
      )
    : ok('mdns', `${question} came back; no node of the swarm answered`)
}

async function ask(service: string, addresses: readonly string[]): Promise<MdnsEcho> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  const nodes = new Set<string>()
  let isHeard = false
  try {
    socket.bind(MDNS_PORT)
    await once(socket, 'listening')
    socket.on('message', (message) => {
      const said = readMdns(message, service)
      if (said?.kind === 'answer') for (const name of said.names) nodes.add(name)
      isHeard ||= said?.kind === 'question'
    })
    const failed = once(socket, 'error').then(([error]) => {
      throw error
    })
    const asked = askEverywhere(socket, mdnsQuestion(service), addresses).then(() => delay(ANSWERS_MS))
    await Promise.race([failed, asked])
    return { isHeard, nodes: nodes.size }
  } finally {
    socket.close()
  }
}

/** From each network in turn, since a question goes out on one of them only. */
async function askEverywhere(socket: Socket, question: Buffer, addresses: readonly string[]): Promise<void> {
  for (const address of addresses) {
    socket.addMembership(MDNS_GROUP, address)
    socket.setMulticastInterface(address)
    await new Promise<void>((resolve, reject) => {
      socket.send(question, MDNS_PORT, MDNS_GROUP, (error) => {
        if (error === null) resolve()
        else reject(error)
      })
    })
  }
}
