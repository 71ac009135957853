import type { Client, PeersReport, StreamReport } from '../../client/index.js'
import { ok, problem, warning, type Finding } from './finding.js'

/** What a node that runs says about itself. */
export async function checkRunningNode(client: Client, signal: AbortSignal): Promise<Finding[]> {
  const [{ nodeId }, info, readiness, streams, peers] = await Promise.all([
    client.identity(signal),
    client.nodeInfo(signal),
    client.readiness(signal),
    client.streams(signal),
    client.peers(signal),
  ])
  const hours = (info.uptime.secs / 3600).toFixed(1)
  return [
    ok('node', `${nodeId} runs at ${client.target}, version ${info.version}, for ${hours} h`),
    readiness.ready
      ? ok('store', `takes events; ${String(streams.length)} streams`)
      : problem(
          'store',
          readiness.reasons.join('; '),
          'mend what is named; the node goes on by itself, see docs/errors.md',
        ),
    ...clockJump(streams),
    ...judgeSwarm(peers),
  ]
}

function clockJump(streams: readonly StreamReport[]): Finding[] {
  return streams.some(({ nextPrune }) => nextPrune.heldBackBy === 'clock-jump')
    ? [
        warning(
          'node clock',
          'the clock of the node has jumped, so that it does not trust ages at the moment',
          'check the time service; limits by age act again once the clock is steady',
        ),
      ]
    : []
}

/** Peers that should be connected, and every alarm. */
export function judgeSwarm({ swarm, peers, alarms }: PeersReport): Finding[] {
  if (!swarm) return [ok('swarm', 'this node is alone: without swarm.key it is part of no swarm')]
  const connected = peers.filter(({ state }) => state === 'connected').length
  const missing = peers.filter(({ source, state }) => source === 'configured' && state !== 'connected')
  const found = `${String(connected)} nodes connected`
  const summary =
    connected > 0
      ? ok('peers', found)
      : warning(
          'peers',
          found,
          'start the other nodes; compare swarm.key and swarm.topic; name addresses in swarm.peers; open the port of swarm.listen',
        )
  return [
    summary,
    ...missing.map(({ addresses, failure }) =>
      warning(
        'peers',
        `${addresses[0] ?? 'a peer'} is not connected${failure === null ? '' : `: ${failure.message}`}`,
        'check that the node runs, its address in swarm.peers, and the firewall between',
      ),
    ),
    ...alarms.map(({ kind, message, advice }) => problem(`alarm ${kind}`, message, advice)),
  ]
}
