import type { NodeBackup } from '../../node/index.js'
import type { Call, Command } from '../command.js'
import { CONNECT_OPTIONS } from '../connect.js'
import { EXIT } from '../exit-codes.js'
import { ProgressLine } from '../progress-line.js'
import { withRunningOrStopped } from '../running-or-stopped.js'
import { write } from '../terminal.js'
import { formatBytes } from '../units.js'
import { UsageError } from '../usage-error.js'
import { packageVersion } from '../version.js'

export const backup: Command = {
  name: 'backup',
  summary: 'Save everything that a node has, while it runs or not',
  usage: '[FLAGS] FOLDER | FILE.tar',
  details: [
    'Into a new folder, or into one file. A node that runs goes on: writes wait for some milliseconds, and the backup is what it',
    'had at that moment, all topics, events, keys. It is on disk and was checked when the command says so; before that',
    'it has another name, and nothing takes it for a backup. The configuration file is not in it.',
    'Whoever has the keys can write as this node: keep the backup as you keep them, or leave them out.',
    'millrace verify FOLDER tells later whether it is still what was written; millrace restore makes a node of it.',
  ].join('\n'),
  examples: ['millrace backup /mnt/usb/gateway-7', 'millrace backup --without-identity gateway-7.tar'],
  options: {
    'without-identity': { type: 'boolean', help: 'leave out the keys: identity.key, token.key and old ones' },
    ...CONNECT_OPTIONS,
  },
  completes: { files: true },
  exits: {
    [EXIT.damage]: 'what was written is not what should be saved',
    [EXIT.dataDirectory]: 'the data directory, or the place of the backup, is unusable',
  },
  mostArguments: 1,
  run: runBackup,
}

async function runBackup(call: Call): Promise<number> {
  const [target] = call.args
  if (target === undefined) throw new UsageError('where to? millrace backup FOLDER, or FILE.tar')
  const { stdout, stderr, signal } = call.terminal
  const withIdentity = !call.flag('without-identity')
  const progress = new ProgressLine(stderr)
  const { saveBackup } = await import('../../node/index.js')
  const save = (begin: () => Promise<AsyncIterable<Uint8Array>>) =>
    saveBackup(begin, target, (bytes) => {
      progress.show(`${formatBytes(bytes)} saved`)
    }).finally(() => {
      progress.clear()
    })
  const { manifest, bytes } = await withRunningOrStopped(call, {
    running: (client) => save(() => client.backup(withIdentity, signal)),
    stopped: (node) => save(async () => stoppable(await node.backup(withIdentity, packageVersion()), signal)),
  })
  const { nodeId, pauseMs, files, topics } = manifest
  const result = { target, nodeId, bytes, files: files.length, topics: topics.length, withIdentity, pauseMs }
  const paused = pauseMs === 0 ? '' : `; writes waited for ${pauseMs.toFixed(1)} ms`
  const sentence = `saved node ${nodeId} to ${target}: ${formatBytes(bytes)}${paused}\n`
  await write(stdout, call.json ? `${JSON.stringify({ code: 'OK', result })}\n` : sentence)
  return EXIT.ok
}

async function* stoppable(made: NodeBackup, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  await using backup = made
  for await (const chunk of backup.chunks) {
    signal.throwIfAborted()
    yield chunk
  }
}
