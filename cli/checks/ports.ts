import { once } from 'node:events'
import { createServer } from 'node:net'
import type { Settings } from '../../config/index.js'
import { ok, problem, type Finding } from './finding.js'

/** Address and port that the node would listen on. */
interface Place {
  readonly host: string
  readonly port: number
  /** The setting that names it. */
  readonly setting: string
}

/** Whether the ports of a node that does not run are free. */
export async function checkPorts({ api, swarm }: Settings): Promise<Finding[]> {
  const ofApi = api.listen.map(({ host, port }): Place => ({ host, port, setting: 'api.listen' }))
  const ofSwarm = swarm.key === undefined ? [] : swarm.listen.flatMap(placeOf)
  const findings: Finding[] = []
  // One after the other: two of them may be the same port in both versions of IP.
  for (const place of [...ofApi, ...ofSwarm]) findings.push(await checkPort(place))
  return findings
}

/** `/ip4/0.0.0.0/tcp/4001` */
function placeOf(multiaddr: string): Place[] {
  const [, host, port] = /^\/ip[46]\/([^/]+)\/tcp\/(\d+)/.exec(multiaddr) ?? []
  return host === undefined ? [] : [{ host, port: Number(port), setting: 'swarm.listen' }]
}

async function checkPort({ host, port, setting }: Place): Promise<Finding> {
  const name = `${host.includes(':') ? `[${host}]` : host}:${String(port)}`
  const server = createServer()
  try {
    server.listen({ host, port, exclusive: true, ipv6Only: setting === 'swarm.listen' })
    await once(server, 'listening')
    return ok('port', `${name} is free`)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    // Machines without IPv6 listen on the rest.
    if (code === 'EAFNOSUPPORT' || (code === 'EADDRNOTAVAIL' && host === '::')) {
      return ok('port', `${name}: this machine has no IPv6`)
    }
    const reason = REASONS[code] ?? code
    return problem('port', `${name}: ${reason}`, `end what uses it, or choose another address in ${setting}`)
  } finally {
    if (server.listening) await new Promise((resolve) => server.close(resolve))
  }
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there',
  EACCES: 'this user may not listen there',
  EADDRNOTAVAIL: 'this machine does not have the address',
  ENOTFOUND: 'the name does not resolve',
}
