import type { AlarmReport, PeerReport, PeersReport } from '../../client/index.js'
import type { Call, Command } from '../command.js'
import { CONNECT_OPTIONS, withClient } from '../connect.js'
import { EXIT } from '../exit-codes.js'
import { renderTable } from '../table.js'
import { paint, write } from '../terminal.js'
import { formatCount, formatTime } from '../units.js'

export const peers: Command = {
  name: 'peers',
  summary: 'Show the swarm: who is connected, what they lack, what is wrong',
  usage: '[FLAGS]',
  details: [
    'LACKS counts events that this node holds and the peer did not when they last compared. LAST ERROR says why there is',
    'no connection, or why the one before this ended. Below stand alarms with what to do; with any of them the exit code is 1.',
  ].join('\n'),
  examples: ['millrace peers', 'millrace peers -j'],
  options: CONNECT_OPTIONS,
  exits: { [EXIT.failure]: 'failure, or there are alarms' },
  mostArguments: 0,
  run: runPeers,
}

const COLUMNS = [
  { title: 'NODE' },
  { title: 'STATE' },
  { title: 'SINCE' },
  { title: 'LATENCY', right: true },
  { title: 'STATUS' },
  { title: 'LACKS', right: true },
  { title: 'ADDRESS' },
  { title: 'LAST ERROR' },
]

async function runPeers(call: Call): Promise<number> {
  const { stdout, signal } = call.terminal
  const report = await withClient(call, (client) => client.peers(signal))
  if (call.json) await write(stdout, `${JSON.stringify({ code: 'OK', result: report })}\n`)
  else await write(stdout, render(report, call))
  return report.alarms.length > 0 ? EXIT.failure : EXIT.ok
}

function render(report: PeersReport, call: Call): string {
  const { stdout, env } = call.terminal
  if (!report.swarm) return 'this node is alone: without swarm.key it is part of no swarm\n'
  const addresses = report.addresses.map((address) => `  ${address}\n`).join('')
  const here = `topic ${report.topic}, others reach this node at\n${addresses}\n`
  const table =
    report.peers.length === 0 ? 'no peers yet\n' : renderTable(COLUMNS, report.peers.map(renderPeer), stdout, env)
  const alarms = report.alarms.map((alarm) => renderAlarm(alarm, call)).join('')
  return `${here}${table}${alarms === '' ? '' : `\n${alarms}`}`
}

function renderPeer(peer: PeerReport): string[] {
  const { failure } = peer
  return [
    peer.nodeId ?? '-',
    peer.state,
    formatTime(peer.since),
    peer.roundTripMs === null ? '-' : `${peer.roundTripMs.toFixed(1)} ms`,
    peer.status ?? '-',
    peer.comparedAt === null ? '-' : formatCount(peer.lacks),
    peer.addresses[0] ?? '-',
    failure === null ? '-' : `${failure.message} (${formatTime(failure.at)})`,
  ]
}

function renderAlarm({ kind, message, advice, since }: AlarmReport, call: Call): string {
  const { stdout, env } = call.terminal
  return `${paint(stdout, env, 'red', `alarm ${kind}`)} since ${formatTime(since)}: ${message}\n  ${advice}\n`
}
