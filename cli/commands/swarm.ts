import { createNetworkKey } from '../../config/index.js'
import type { Call, Command } from '../command.js'
import { EXIT } from '../exit-codes.js'
import { write } from '../terminal.js'
import { unknownAction } from '../unknown-action.js'

export const swarm: Command = {
  name: 'swarm',
  summary: 'Make the key that the nodes of a swarm share',
  usage: 'keygen',
  details: [
    'keygen prints a new key and nothing else: 32 random bytes as 44 characters of base64, for swarm.key or swarm.keyFile.',
    'Who has it is a member of the swarm: keep the file to the user that runs the node.',
  ].join('\n'),
  examples: ['(umask 077; millrace swarm keygen > swarm.key)'],
  options: {},
  completes: { words: ['keygen'] },
  mostArguments: 1,
  run: runSwarm,
}

async function runSwarm(call: Call): Promise<number> {
  const [action] = call.args
  if (action !== 'keygen') throw unknownAction(action, ['keygen'])
  const key = createNetworkKey()
  await write(call.terminal.stdout, call.json ? `${JSON.stringify({ code: 'OK', result: { key } })}\n` : `${key}\n`)
  return EXIT.ok
}
