import type { Call, Command } from '../command.js'
import { EXIT } from '../exit-codes.js'
import { write } from '../terminal.js'
import { packageVersion } from '../version.js'

export const version: Command = {
  name: 'version',
  summary: 'Name the version, what it runs on, and the formats that it speaks',
  usage: '[-j]',
  details: [
    'Of this command, not of a node that runs. Nodes work together when they speak the same protocols, and a data directory',
    'can be opened by a version that knows its format. millrace --version names the version alone.',
  ].join('\n'),
  examples: ['millrace version', 'millrace version -j'],
  options: {},
  mostArguments: 0,
  run: runVersion,
}

async function runVersion(call: Call): Promise<number> {
  // Loaded only here: it is most of the daemon.
  const { FORMATS } = await import('../../node/index.js')
  const { data, api, protocols } = FORMATS
  const { versions, platform, arch } = process
  const result = {
    version: packageVersion(),
    node: versions.node,
    v8: versions.v8,
    platform: `${platform}-${arch}`,
    formats: { data, api, protocols },
  }
  const lines = [
    `millrace     ${result.version}`,
    `node         ${result.node} (V8 ${result.v8})`,
    `platform     ${result.platform}`,
    `data format  ${String(data)}`,
    `app API      ${api}`,
    `protocols    ${protocols.join(', ')}`,
  ]
  const text = call.json ? JSON.stringify({ code: 'OK', result }) : lines.join('\n')
  await write(call.terminal.stdout, `${text}\n`)
  return EXIT.ok
}
