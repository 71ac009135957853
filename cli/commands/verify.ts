import { AnswerFailedError } from '../../client/index.js'
import type { CheckLine } from '../../node/index.js'
import type { Call, Command } from '../command.js'
import { CONNECT_OPTIONS } from '../connect.js'
import { EXIT } from '../exit-codes.js'
import { ProgressLine } from '../progress-line.js'
import { withRunningOrStopped } from '../running-or-stopped.js'
import { paint, write } from '../terminal.js'
import { formatBytes, formatCount, formatTime } from '../units.js'

export const verify: Command = {
  name: 'verify',
  exits: { [EXIT.damage]: 'there is damage', [EXIT.dataDirectory]: 'the data directory is unusable' },
  summary: 'Check everything that is stored: hashes, chains, signatures, index',
  usage: '[FLAGS] [BACKUP]',
  details: [
    'Of a node that runs, the active topic is checked, over its Unix socket: publishing and queries go first. Of one that does',
    'not, all topics; it cannot be started meanwhile. Nothing is changed or mended.',
    'With BACKUP it tells whether that is, byte for byte, what millrace backup wrote.',
    'For each damage it says which stream and offsets it is about, what is lost and what to do.',
    'Exit code 0: all is whole. 65: there is damage.',
  ].join('\n'),
  jsonHelp: 'print what is found as lines of JSON',
  examples: [
    'millrace verify',
    'millrace verify /mnt/usb/gateway-7',
    'millrace verify --data /var/lib/millrace',
    'millrace verify -j | jq .lost',
  ],
  options: CONNECT_OPTIONS,
  completes: { files: true },
  mostArguments: 1,
  run: runVerify,
}

async function runVerify(call: Call): Promise<number> {
  const { stdout, stderr, signal } = call.terminal
  const [given] = call.args
  if (given !== undefined) return verifyBackup(call, given)
  const progress = new ProgressLine(stderr)
  const show = async (lines: AsyncIterable<CheckLine>): Promise<readonly CheckLine[]> => {
    const kept: CheckLine[] = []
    for await (const line of lines) {
      if (line.type === 'progress') {
        progress.show(`${line.topic}: ${formatCount(line.blocks)} of ${formatCount(line.totalBlocks)} blocks`)
        continue
      }
      progress.clear()
      await write(stdout, call.json ? `${JSON.stringify(line)}\n` : render(call, line))
      if (line.type !== 'note') kept.push(line)
    }
    progress.clear()
    return kept
  }
  const found = await withRunningOrStopped(call, {
    running: (client) => show(parseLines(client.verify(signal))),
    stopped: (node) => show(node.verify(signal)),
  })
  return found.some(({ type }) => type === 'damage') ? EXIT.damage : EXIT.ok
}

/** @throws BackupInvalidError that names the file */
async function verifyBackup(call: Call, path: string): Promise<number> {
  const { stdout, stderr } = call.terminal
  const { checkBackup } = await import('../../node/index.js')
  const progress = new ProgressLine(stderr)
  const checked = checkBackup(path, (bytes) => {
    progress.show(`${formatBytes(bytes)} checked`)
  })
  const { nodeId, createdMicros, files, withIdentity } = await checked.finally(() => {
    progress.clear()
  })
  const result = { nodeId, createdMicros, files: files.length, withIdentity }
  const keys = withIdentity ? 'with its keys' : 'without its keys'
  const made = `node ${nodeId} at ${formatTime(createdMicros)}, ${keys}`
  const sentence = `the backup of ${made}: ${count(files.length, 'file')}, each as it was written\n`
  await write(stdout, call.json ? `${JSON.stringify({ code: 'OK', result })}\n` : sentence)
  return EXIT.ok
}

/** @throws AnswerFailedError when the check did not get to its end */
async function* parseLines(texts: AsyncIterable<string>): AsyncGenerator<CheckLine> {
  let isComplete = false
  for await (const text of texts) {
    const line = JSON.parse(text) as CheckLine | { readonly type: 'diagnostic'; readonly message: string }
    if (line.type === 'diagnostic') throw new AnswerFailedError(line.message)
    isComplete ||= line.type === 'topic'
    yield line
  }
  if (!isComplete) throw new AnswerFailedError('the check ended before everything was looked at')
}

function render(call: Call, line: Exclude<CheckLine, { readonly type: 'progress' }>): string {
  const { stdout, env } = call.terminal
  switch (line.type) {
    case 'note':
      return `${paint(stdout, env, 'yellow', 'note')}    ${place(line)}: ${line.text}\n`
    case 'damage':
      return [
        `${paint(stdout, env, 'red', 'damage')}  ${place(line)}, ${line.part}: ${line.problem}`,
        `        lost: ${line.lost}`,
        `        what to do: ${line.advice}`,
        '',
      ].join('\n')
    case 'topic': {
      const { topic, streams, blocks, events, damages } = line
      const counts = `${count(streams, 'stream')}, ${count(blocks, 'block')}, ${count(events, 'event')} checked`
      const verdict =
        damages === 0
          ? paint(stdout, env, 'green', 'all is whole')
          : paint(stdout, env, 'red', `${count(damages, 'damage')} found`)
      return `topic '${topic}': ${counts}: ${verdict}\n`
    }
  }
}

function place({ topic, stream }: { readonly topic: string; readonly stream: string | null }): string {
  return stream === null ? `topic '${topic}'` : `stream ${stream}`
}

function count(value: number, thing: string): string {
  return `${formatCount(value)} ${thing}${value === 1 ? '' : 's'}`
}
