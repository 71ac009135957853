import type { Call, Command } from '../command.js'
import { confirm } from '../confirm.js'
import { CONNECT_OPTIONS, withClient } from '../connect.js'
import { EXIT } from '../exit-codes.js'
import { withRunningOrStopped, withStopped } from '../running-or-stopped.js'
import { write } from '../terminal.js'
import { unknownAction } from '../unknown-action.js'

export const identity: Command = {
  name: 'identity',
  summary: 'Show who the node is, or decide what follows from a copied key or an old backup',
  usage: '[FLAGS] show | renew | epoch',
  details: [
    'show tells node id, peer id (the same key as libp2p writes it) and epoch.',
    'renew makes another node of a stopped one whose key is in use elsewhere too: a new key, the old one is kept aside. What',
    'the node has written stays readable, as streams of the old node; it counts as local no longer, and limits of own',
    'streams hold for it no longer either.',
    'epoch is for a node that runs with the data of an older backup, of which others hold events that it has lost: it keeps',
    'its key and writes into new streams from now on; the old ones are completed by what others hold.',
  ].join('\n'),
  examples: ['millrace identity show -j', 'millrace identity renew', 'millrace identity epoch --yes'],
  options: {
    ...CONNECT_OPTIONS,
    yes: { type: 'boolean', short: 'y', help: 'do not ask whether that is meant (renew, epoch)' },
  },
  completes: { words: ['show', 'renew', 'epoch'] },
  exits: { [EXIT.dataDirectory]: 'the data directory of the node that does not run is unusable' },
  mostArguments: 1,
  run: runIdentity,
}

async function runIdentity(call: Call): Promise<number> {
  const [action] = call.args
  switch (action) {
    case 'show':
      return show(call)
    case 'renew':
      return renew(call)
    case 'epoch':
      return beginEpoch(call)
    default:
      throw unknownAction(action, ['show', 'renew', 'epoch'])
  }
}

async function show(call: Call): Promise<number> {
  const result = await withRunningOrStopped(call, {
    running: (client) => client.identity(call.terminal.signal),
    stopped: (node) => node.identity(),
  })
  const { nodeId, peerId, epoch } = result
  await tell(call, result, `node id  ${nodeId}\npeer id  ${peerId}\nepoch    ${String(epoch)}\n`)
  return EXIT.ok
}

const RENEW =
  'The node gets a new identity: to others it is a new node, and what it has written belongs to the old one, which ' +
  'nobody writes any more unless its key is in use elsewhere.'

async function renew(call: Call): Promise<number> {
  const { stderr } = call.terminal
  return withStopped(call, async (node) => {
    if (!(await confirm(call, RENEW))) return EXIT.failure
    const log = (details: object, message: string): void => {
      void write(stderr, `${message} ${JSON.stringify(details)}\n`)
    }
    const result = await node.renewIdentity({ info: () => undefined, warn: log, error: log })
    const sentences = [
      `the node ${result.oldNodeId} is ${result.nodeId} from now on`,
      `the old key is kept in ${result.kept}: whoever has it can write as the old node`,
      'what was written stays readable, as streams of the old node',
    ]
    await tell(call, result, sentences.map((sentence) => `${sentence}\n`).join(''))
    return EXIT.ok
  })
}

const EPOCH =
  'The node goes on with new streams: its old ones get no new event from it, and what it has lost of them comes back only ' +
  'from nodes that hold it.'

async function beginEpoch(call: Call): Promise<number> {
  if (!(await confirm(call, EPOCH))) return EXIT.failure
  const result = await withClient(call, (client) => client.beginEpoch(call.terminal.signal))
  await tell(call, result, `epoch ${String(result.epoch)} has begun: the node publishes into new streams\n`)
  return EXIT.ok
}

async function tell(call: Call, result: object, text: string): Promise<void> {
  await write(call.terminal.stdout, call.json ? `${JSON.stringify({ code: 'OK', result })}\n` : text)
}
