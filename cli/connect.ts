import { Client } from '../client/index.js'
import { nodeTransport, type NodeAddress } from '../client/node.js'
import type { Call, Options } from './command.js'
import { SETTINGS_OPTIONS, settingsOf } from './settings-options.js'
import { UsageError } from './usage-error.js'
import { packageVersion } from './version.js'

/** Flags of the commands that talk to a node. */
export const CONNECT_OPTIONS: Options = {
  node: {
    type: 'string',
    short: 'n',
    value: 'URL',
    help: 'node to talk to, such as http://127.0.0.1:4454 (MILLRACE_NODE)',
  },
  socket: { type: 'string', short: 's', value: 'PATH', help: 'Unix socket of the node' },
  ...SETTINGS_OPTIONS,
  app: { type: 'string', value: 'ID', help: 'app to speak as; by default com.example.millrace' },
}

/** The app that the command line speaks as unless told otherwise; its events need no permission. */
export const OWN_APP = 'com.example.millrace'

/**
 * Runs `work` with a client for the node that the flags name (`--node`, `--socket`, else the socket of the
 * configuration) and closes it. `openChannel` gives another one, which publishes over a WebSocket.
 *
 * @param appId the app to speak as, where it is not that of the flags
 */
export async function withClient<T>(
  call: Call,
  work: (client: Client, openChannel: () => Client) => Promise<T>,
  appId?: string,
): Promise<T> {
  const address = addressOf(call)
  const manifest = {
    appId: appId ?? call.text('app') ?? OWN_APP,
    displayName: 'millrace command line',
    version: packageVersion(),
  }
  const client = new Client(nodeTransport(address), manifest)
  const openChannel = (): Client => new Client(nodeTransport(address, { webSocket: true }), manifest)
  try {
    return await work(client, openChannel)
  } finally {
    client.close()
  }
}

/** As {@link withClient}; over the Unix socket the operator speaks unless `--app` names an app. */
export async function withOperator<T>(call: Call, work: (client: Client) => Promise<T>): Promise<T> {
  const address = addressOf(call)
  if (call.text('app') !== undefined || 'url' in address) return withClient(call, work)
  const client = new Client(nodeTransport(address))
  try {
    return await work(client)
  } finally {
    client.close()
  }
}

/** Whether flags or environment say where the node is, rather than where its data are. */
export function isNodeNamed(call: Call): boolean {
  if (call.text('node') !== undefined || call.text('socket') !== undefined) return true
  const isPlaced = call.text('data') !== undefined || call.text('config') !== undefined
  return !isPlaced && (call.terminal.env['MILLRACE_NODE'] ?? '') !== ''
}

function addressOf(call: Call): NodeAddress {
  const named = call.text('node')
  const socket = call.text('socket')
  if (named !== undefined && socket !== undefined) throw new UsageError('--node and --socket exclude each other')
  if (named !== undefined) return { url: checkUrl(named) }
  if (socket !== undefined) return { socketPath: socket }
  const fromEnv = call.terminal.env['MILLRACE_NODE'] ?? ''
  if (isNodeNamed(call)) return { url: checkUrl(fromEnv) }
  return { socketPath: settingsOf(call).settings.api.socket }
}

function checkUrl(text: string): string {
  const url = /^[a-z]+:\/\//i.test(text) ? text : `http://${text}`
  if (!URL.canParse(url) || !url.toLowerCase().startsWith('http://')) {
    throw new UsageError(`'${text}' is no address of a node; http://HOST:PORT is one`)
  }
  return url
}
