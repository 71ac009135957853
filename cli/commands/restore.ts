import type { Call, Command } from '../command.js'
import { confirm } from '../confirm.js'
import { EXIT } from '../exit-codes.js'
import { ProgressLine } from '../progress-line.js'
import { SETTINGS_OPTIONS, settingsOf } from '../settings-options.js'
import { write } from '../terminal.js'
import { formatCount, formatTime } from '../units.js'
import { UsageError } from '../usage-error.js'

export const restore: Command = {
  name: 'restore',
  summary: 'Make the data directory of a node from a backup',
  usage: '[FLAGS] BACKUP --data DIR',
  details: [
    'DIR is new or empty: nothing is ever overwritten. Everything is checked, each event too, before any of it counts.',
    'The node keeps its identity and begins a new epoch: it goes on in new streams, so that it cannot write a second history',
    'of what it published after the backup. Other nodes give back what they hold of that.',
    'The machine that the backup is of must be off for good: two nodes with one identity end each other.',
  ].join('\n'),
  examples: [
    'millrace restore /mnt/usb/gateway-7 --data /var/lib/millrace',
    'millrace restore -y gateway-7.tar -d data',
  ],
  options: {
    ...SETTINGS_OPTIONS,
    identity: { type: 'string', value: 'FILE', help: 'identity.key of the node, for a backup without' },
    yes: { type: 'boolean', short: 'y', help: 'the old machine is off: do not ask' },
  },
  completes: { files: true },
  exits: {
    [EXIT.damage]: 'the backup is damaged',
    [EXIT.dataDirectory]: 'the data directory is unusable, or not empty',
  },
  mostArguments: 1,
  run: runRestore,
}

const WARNING =
  'The machine that this backup is of must be off for good, and no other restore of it may run: two nodes with one ' +
  'identity end each other.'

async function runRestore(call: Call): Promise<number> {
  const [from] = call.args
  if (from === undefined) throw new UsageError('from what? millrace restore BACKUP --data DIR')
  if (call.text('data') === undefined && call.text('config') === undefined) {
    throw new UsageError('where to? millrace restore BACKUP --data DIR')
  }
  const { stdout, stderr, signal } = call.terminal
  const { settings } = settingsOf(call)
  if (!(await confirm(call, WARNING))) return EXIT.failure
  const progress = new ProgressLine(stderr)
  const log = (details: object, message: string): void => {
    void write(stderr, `${message} ${JSON.stringify(details)}\n`)
  }
  const { restoreNode } = await import('../../node/index.js')
  const { manifest, epoch, events } = await restoreNode(settings, {
    backup: from,
    identity: call.text('identity'),
    logger: { info: () => undefined, warn: log, error: log },
    signal,
    onStep: (step) => {
      progress.show(step)
    },
  }).finally(() => {
    progress.clear()
  })
  const { nodeId, createdMicros } = manifest
  const data = settings.dataDirectory
  const result = { nodeId, data, createdMicros, epoch, events }
  const sentences = [
    `restored node ${nodeId} as it was at ${formatTime(createdMicros)} into ${data}: ${formatCount(events)} events, all checked`,
    `it goes on in new streams (epoch ${String(epoch)}); the old ones are completed by what other nodes hold`,
    'the machine that the backup is of must stay off',
  ]
  const text = sentences.map((sentence) => `${sentence}\n`).join('')
  await write(stdout, call.json ? `${JSON.stringify({ code: 'OK', result })}\n` : text)
  return EXIT.ok
}
