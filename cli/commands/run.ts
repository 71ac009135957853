import type { Command } from '../command.js'
import { SETTINGS_OPTIONS } from '../settings-options.js'

export const run: Command = {
  name: 'run',
  summary: 'Run a node',
  usage: '[--config FILE] [--data DIR] [--api HOST:PORT] [--socket PATH]',
  details: [
    'Flags beat environment variables (MILLRACE_*), these the file, that the defaults. SIGTERM and SIGINT stop the node,',
    'SIGHUP reads the configuration again. Exit codes: 0 stopped, 2 usage, 69 address in use, 70 internal error,',
    '73 data directory unusable, 78 configuration.',
  ].join('\n'),
  examples: ['millrace run', 'millrace run --config millrace.yml', 'millrace run --data ./data --api 127.0.0.1:0'],
  options: {
    ...SETTINGS_OPTIONS,
    api: { type: 'string', short: 'a', value: 'HOST:PORT', help: 'address of the API; port 0 takes any free one' },
    socket: { type: 'string', short: 's', value: 'PATH', help: 'Unix socket of the API' },
  },
  jsonHelp: 'log JSON, also on a terminal',
  mostArguments: 0,
  // Loaded only here: the other commands start faster without the daemon.
  run: async (call) => (await import('../run-node.js')).runNode(call),
}
