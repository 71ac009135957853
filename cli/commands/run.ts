import type { Command } from '../command.js'
import { EXIT } from '../exit-codes.js'
import { SETTINGS_OPTIONS } from '../settings-options.js'

export const run: Command = {
  name: 'run',
  summary: 'Run a node',
  usage: '[--config FILE] [--data DIR] [--api HOST:PORT] [--socket PATH]',
  details: [
    'Flags beat environment variables (MILLRACE_*), these the file, that the defaults. SIGTERM and SIGINT stop the node,',
    'SIGHUP reads the configuration again.',
  ].join('\n'),
  examples: ['millrace run', 'millrace run --config millrace.yml', 'millrace run --data ./data --api 127.0.0.1:0'],
  options: {
    ...SETTINGS_OPTIONS,
    api: { type: 'string', short: 'a', value: 'HOST:PORT', help: 'address of the API; port 0 takes any free one' },
    socket: { type: 'string', short: 's', value: 'PATH', help: 'Unix socket of the API' },
  },
  exits: {
    [EXIT.ok]: 'stopped on request',
    [EXIT.addressInUse]: 'an address is in use, or not of this machine',
    [EXIT.dataDirectory]: 'the data directory is unusable',
  },
  jsonHelp: 'log JSON, also on a terminal',
  mostArguments: 0,
  // Loaded only here: the other commands start faster without the daemon.
  run: async (call) => (await import('../run-node.js')).runNode(call),
}
