import type { Call, Command } from '../command.js'
import { CONNECT_OPTIONS, withClient } from '../connect.js'
import { EXIT } from '../exit-codes.js'
import { paint, write } from '../terminal.js'

export const reload: Command = {
  name: 'reload',
  summary: 'Have the node that runs read its configuration again',
  usage: '[FLAGS]',
  details: [
    'The node reads the file that it was started with and says what holds from now on, and what only after the next start.',
    'No connection is dropped. A file with an error changes nothing: each error is told with its place and the mend.',
    'For operators: over the Unix socket of the node.',
  ].join('\n'),
  examples: ['millrace reload', 'millrace reload --data /var/lib/millrace', 'millrace reload -j'],
  options: CONNECT_OPTIONS,
  mostArguments: 0,
  run: runReload,
}

async function runReload(call: Call): Promise<number> {
  const { stdout, stderr, env, signal } = call.terminal
  const result = await withClient(call, (client) => client.reload(signal))
  if (call.json) {
    await write(stdout, `${JSON.stringify({ code: 'OK', result })}\n`)
    return EXIT.ok
  }
  const { applied, waiting, warnings } = result
  for (const warning of warnings) await write(stderr, `${paint(stderr, env, 'yellow', 'warning:')} ${warning}\n`)
  const lines = [
    ...(applied.length > 0 ? [`in force from now on: ${applied.join(', ')}`] : []),
    ...(waiting.length > 0 ? [`in force after the next start: ${waiting.join(', ')}`] : []),
  ]
  await write(stdout, `${lines.length === 0 ? 'nothing has changed' : lines.join('\n')}\n`)
  return EXIT.ok
}
