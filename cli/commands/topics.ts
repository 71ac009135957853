import type { Call, Command } from '../command.js'
import { CONNECT_OPTIONS } from '../connect.js'
import { EXIT } from '../exit-codes.js'
import { withRunningOrStopped } from '../running-or-stopped.js'
import { renderTable } from '../table.js'
import { write } from '../terminal.js'
import { formatBytes } from '../units.js'
import { unknownAction } from '../unknown-action.js'
import { UsageError } from '../usage-error.js'

export const topics: Command = {
  name: 'topics',
  summary: 'List the topics that have a store here, or delete one',
  usage: '[FLAGS] ls | delete NAME',
  details: [
    'A node works with the topic that swarm.topic names, which is the active one. The stores of others stay beside it until',
    'they are deleted: with all their events, for good. The active one cannot be deleted.',
    'Both work on a node that runs (delete over its Unix socket only) and on one that does not.',
  ].join('\n'),
  examples: ['millrace topics ls', 'millrace topics ls -j', 'millrace topics delete old-topic'],
  options: CONNECT_OPTIONS,
  completes: { words: ['ls', 'delete'] },
  exits: { [EXIT.dataDirectory]: 'the data directory of the node that does not run is unusable' },
  mostArguments: 2,
  run: runTopics,
}

const COLUMNS = [{ title: 'NAME' }, { title: 'SIZE', right: true }, { title: 'ACTIVE' }]

async function runTopics(call: Call): Promise<number> {
  const [action, name] = call.args
  switch (action) {
    case 'ls':
      if (name !== undefined) throw new UsageError(`unexpected argument '${name}'`)
      return list(call)
    case 'delete':
      if (name === undefined) throw new UsageError('which topic? millrace topics delete NAME')
      return remove(call, name)
    default:
      throw unknownAction(action, ['ls', 'delete'])
  }
}

async function list(call: Call): Promise<number> {
  const { stdout, env, signal } = call.terminal
  const all = await withRunningOrStopped(call, {
    running: (client) => client.topics(signal),
    stopped: (node) => node.topics(),
  })
  if (call.json) await write(stdout, `${JSON.stringify({ code: 'OK', result: { topics: all } })}\n`)
  else {
    const rows = all.map(({ name, bytesOnDisk, active }) => [name, formatBytes(bytesOnDisk), active ? 'yes' : 'no'])
    await write(stdout, rows.length === 0 ? 'no topics yet\n' : renderTable(COLUMNS, rows, stdout, env))
  }
  return EXIT.ok
}

async function remove(call: Call, name: string): Promise<number> {
  const { stdout, signal } = call.terminal
  const { bytesOnDisk } = await withRunningOrStopped(call, {
    running: (client) => client.deleteTopic(name, signal),
    stopped: (node) => node.deleteTopic(name),
  })
  const result = { name, bytesOnDisk, deleted: true }
  const sentence = `deleted the topic '${name}' and gave ${formatBytes(bytesOnDisk)} back\n`
  await write(stdout, call.json ? `${JSON.stringify({ code: 'OK', result })}\n` : sentence)
  return EXIT.ok
}
