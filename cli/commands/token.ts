import type { Call, Command } from '../command.js'
import { CONNECT_OPTIONS, OWN_APP, withClient } from '../connect.js'
import { EXIT } from '../exit-codes.js'
import { write } from '../terminal.js'
import { formatTime } from '../units.js'

export const token: Command = {
  name: 'token',
  summary: 'Make a token for an app',
  usage: '[FLAGS]',
  details: [
    'The node that runs makes it, as for the app itself: apps below com.example. need no permission, others an entry in',
    'api.apps. On stdout stands the token alone; what it permits is said on a terminal, and with -j. With --operator it is',
    'one for the pages of the node in a browser, which only its Unix socket gives.',
  ].join('\n'),
  examples: [
    'TOKEN=$(millrace token)',
    'millrace token --app com.acme.gauge -j',
    'millrace token --node http://gateway.local:4454',
    'millrace token --operator',
  ],
  options: {
    ...CONNECT_OPTIONS,
    app: { type: 'string', value: 'ID', help: `app that it is for; by default ${OWN_APP}` },
    operator: { type: 'boolean', help: 'for an operator in a browser, who may see and change the configuration' },
  },
  mostArguments: 0,
  run: runToken,
}

/** The same for every app. */
const PERMITS = [
  'publish events, and query and follow those of all apps',
  'write and delete files of the app, and read those of all apps',
  'see offsets, streams, peers, metrics and topics, also from other machines',
]

const OPERATOR_PERMITS = [
  ...PERMITS,
  'see the configuration and all queries, and end these, also from other machines',
  'change routes and limits',
]

async function runToken(call: Call): Promise<number> {
  const { stdout, stderr, signal } = call.terminal
  const made = await withClient(call, async (client) => {
    return call.flag('operator') ? (await client.operatorToken(signal)).token : client.token(signal)
  })
  // Loaded only here: it is most of the daemon.
  const { readClaims } = await import('../../node/index.js')
  const claims = readClaims(made)
  const validUntil = claims === undefined ? null : formatTime(claims.expiresMicros)
  const appId = claims?.appId ?? call.text('app') ?? OWN_APP
  const mode = claims?.mode ?? null
  const permitted = mode === 'operator' ? OPERATOR_PERMITS : PERMITS
  if (call.json) {
    const result = { token: made, appId, mode, validUntil, permits: permitted }
    await write(stdout, `${JSON.stringify({ code: 'OK', result })}\n`)
    return EXIT.ok
  }
  await write(stdout, `${made}\n`)
  if (!stderr.isTerminal) return EXIT.ok
  const until = validUntil === null ? '' : `, good until ${validUntil}`
  const why = mode === 'signed' ? ' (listed in api.apps)' : ''
  const permits = permitted.map((sentence) => `  ${sentence}\n`).join('')
  await write(stderr, `for the app ${appId}${why}${until}; who has it may\n${permits}`)
  return EXIT.ok
}
