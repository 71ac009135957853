import type { StreamReport } from '../../client/index.js'
import type { Call, Command } from '../command.js'
import { CONNECT_OPTIONS, withClient } from '../connect.js'
import { EXIT } from '../exit-codes.js'
import { renderLimits } from '../limits-text.js'
import { renderTable } from '../table.js'
import { write } from '../terminal.js'
import { formatBytes, formatCount, formatTime } from '../units.js'

export const streams: Command = {
  name: 'streams',
  summary: 'Show all streams: size, limits, and what the next prune would drop',
  usage: '[FLAGS] [NAME]',
  details: [
    'Only whole blocks are dropped, from the oldest on, once all their events are beyond a limit. HELD BACK BY says why',
    'the oldest remaining events stay: no limit, within the limits, not yet in a block (unsealed; see maxBlockAge),',
    'kept by the node that writes them (owner), a jump of the clock, a damaged index, or a store that takes no writes.',
  ].join('\n'),
  examples: ['millrace streams', 'millrace streams measurements', 'millrace streams -j'],
  options: CONNECT_OPTIONS,
  mostArguments: 1,
  run: runStreams,
}

const COLUMNS = [
  { title: 'NAME' },
  { title: 'NUMBER', right: true },
  { title: 'EVENTS', right: true },
  { title: 'FIRST', right: true },
  { title: 'LAST', right: true },
  { title: 'OLDEST' },
  { title: 'BLOCKS', right: true },
  { title: 'STORED', right: true },
  { title: 'LIMITS' },
  { title: 'NEXT PRUNE' },
  { title: 'HELD BACK BY' },
]

async function runStreams(call: Call): Promise<number> {
  const { stdout, env, signal } = call.terminal
  const [name] = call.args
  const all = await withClient(call, (client) => client.streams(signal))
  const chosen = name === undefined ? all : all.filter((stream) => stream.name === name || stream.stream === name)
  if (call.json) await write(stdout, `${JSON.stringify({ code: 'OK', result: { streams: chosen } })}\n`)
  else if (chosen.length === 0) await write(stdout, name === undefined ? 'no streams yet\n' : `no stream '${name}'\n`)
  else await write(stdout, renderTable(COLUMNS, chosen.map(renderRow), stdout, env))
  return chosen.length === 0 && name !== undefined ? EXIT.failure : EXIT.ok
}

function renderRow(stream: StreamReport): string[] {
  const { nextPrune } = stream
  const isEmpty = stream.events === 0
  return [
    stream.name ?? stream.stream,
    String(stream.number),
    formatCount(stream.events),
    isEmpty ? '-' : formatCount(stream.firstOffset),
    isEmpty ? '-' : formatCount(stream.nextOffset - 1),
    stream.oldestTimestamp === null ? '-' : formatTime(stream.oldestTimestamp),
    formatCount(stream.blocks),
    formatBytes(stream.storedBytes),
    renderLimits(stream.retention),
    nextPrune.blocks === 0
      ? '-'
      : `${formatCount(nextPrune.events)} events in ${formatCount(nextPrune.blocks)} blocks, ${formatBytes(nextPrune.storedBytes)}`,
    nextPrune.heldBackBy,
  ]
}
