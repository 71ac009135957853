import type { Call, Command } from '../command.js'
import { CONNECT_OPTIONS, withClient } from '../connect.js'
import { EXIT } from '../exit-codes.js'
import { renderTable } from '../table.js'
import { write } from '../terminal.js'
import { formatCount } from '../units.js'

export const offsets: Command = {
  name: 'offsets',
  summary: 'Show the newest offset of each stream',
  usage: '[FLAGS]',
  examples: ['millrace offsets', 'millrace offsets -j'],
  options: CONNECT_OPTIONS,
  mostArguments: 0,
  run: runOffsets,
}

async function runOffsets(call: Call): Promise<number> {
  const { stdout, env, signal } = call.terminal
  const reply = await withClient(call, (client) => client.offsets(signal))
  if (call.json) {
    await write(stdout, `${JSON.stringify({ code: 'OK', result: reply })}\n`)
    return EXIT.ok
  }
  const streams = [...new Set([...Object.keys(reply.present), ...Object.keys(reply.toReplicate)])]
  const rows = streams.map((stream) => [stream, cell(reply.present[stream]), cell(reply.toReplicate[stream])])
  const columns = [{ title: 'STREAM' }, { title: 'OFFSET', right: true }, { title: 'TO REPLICATE', right: true }]
  await write(stdout, rows.length === 0 ? 'no events yet\n' : renderTable(columns, rows, stdout, env))
  return EXIT.ok
}

function cell(value: number | undefined): string {
  return value === undefined ? '-' : formatCount(value)
}
