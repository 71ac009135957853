import { AnswerFailedError, parseAnswerLine } from '../../client/index.js'
import type { Call, Command } from '../command.js'
import { CONNECT_OPTIONS, withClient } from '../connect.js'
import { EXIT } from '../exit-codes.js'
import { ProgressLine } from '../progress-line.js'
import { DumpReader, ORIGINS, type Origin } from '../publish/dumped-event.js'
import { INPUT_OPTIONS, publishInput } from '../publish/publish-input.js'
import { paint, write } from '../terminal.js'
import { formatCount } from '../units.js'
import { unknownAction } from '../unknown-action.js'
import { UsageError } from '../usage-error.js'

export const events: Command = {
  name: 'events',
  summary: 'Write events to a file as they are, or publish those of such a file: from swarm to swarm',
  usage: '[FLAGS] dump [QUERY] | restore FILE',
  details: [
    'dump writes events as NDJSON to stdout, without QUERY all that the node has; the last line makes a dump whole.',
    'restore publishes them as new events of the node that it talks to, with their tags and payloads, digit for digit. Stream,',
    'offset, lamport, time and app are those of the new events; where each came from stands in a tag, origin:STREAM/OFFSET,',
    'with --origin stream only origin:STREAM, with --origin none nowhere. Events that have such a tag keep it.',
    'With --resume the same call goes on after the last acknowledged line.',
  ].join('\n'),
  jsonHelp: 'print the result of restore as one line of JSON',
  examples: [
    `millrace events dump "FROM 'machine:7'" > machine-7.ndjson`,
    'millrace events restore machine-7.ndjson --resume machine-7.progress',
    'millrace events dump -n http://old:4454 | millrace events restore -',
  ],
  options: {
    origin: { type: 'string', value: 'KIND', help: 'what the tag of the origin names: event (default), stream, none' },
    ...INPUT_OPTIONS,
    ...CONNECT_OPTIONS,
  },
  completes: { words: ['dump', 'restore'], files: true },
  mostArguments: 2,
  run: runEvents,
}

function runEvents(call: Call): Promise<number> {
  const [action, argument] = call.args
  switch (action) {
    case 'dump':
      return dump(call, argument ?? 'FROM allEvents')
    case 'restore':
      if (argument === undefined) throw new UsageError('which file? millrace events restore FILE, or - for stdin')
      return restore(call, argument)
    default:
      throw unknownAction(action, ['dump', 'restore'])
  }
}

/** @throws AnswerFailedError after an error in the answer: then the last line is missing */
async function dump(call: Call, query: string): Promise<number> {
  const { stderr, signal } = call.terminal
  const progress = new ProgressLine(stderr)
  const isWhole = await withClient(call, (client) =>
    writeDump(call, client.queryTexts(query, { signal }), progress).finally(() => {
      progress.clear()
    }),
  )
  if (!isWhole) throw new AnswerFailedError('the answer ended too early: the dump lacks its last line')
  return EXIT.ok
}

/** @returns whether the last line was what ends a dump */
async function writeDump(call: Call, lines: AsyncIterable<string>, progress: ProgressLine): Promise<boolean> {
  const { stdout, stderr, signal, env } = call.terminal
  let count = 0
  let isWhole = false
  for await (const line of lines) {
    const parsed = parseAnswerLine(line)
    if (parsed.type === 'diagnostic') {
      progress.clear()
      if (parsed.severity === 'error') throw new AnswerFailedError(parsed.message)
      await write(stderr, `${paint(stderr, env, 'yellow', 'warning:')} ${parsed.message}\n`)
      continue
    }
    if (parsed.type === 'event') count++
    isWhole = parsed.type === 'offsets'
    await write(stdout, `${line}\n`)
    if (signal.aborted) return false
    progress.show(`${formatCount(count)} events`)
  }
  return isWhole
}

function restore(call: Call, file: string): Promise<number> {
  const reader = new DumpReader(originOf(call))
  return publishInput(call, {
    file,
    build: (line) => reader.build(line),
    verb: 'restored',
    fault: () => (reader.hasEnded ? undefined : 'the dump lacks its last line, so it is only a part of one'),
  })
}

function originOf(call: Call): Origin {
  const given = call.text('origin') ?? 'event'
  const known = ORIGINS.find((origin) => origin === given)
  if (known === undefined) throw new UsageError(`--origin takes ${ORIGINS.join(', ')}, not '${given}'`)
  return known
}
