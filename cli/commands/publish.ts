import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Call, Command } from '../command.js'
import { CONNECT_OPTIONS, withClient } from '../connect.js'
import { EXIT } from '../exit-codes.js'
import { buildEvent, type BuilderOptions } from '../publish/event-builder.js'
import { UnreadableInputError } from '../publish/line-queue.js'
import { ProgressLine } from '../progress-line.js'
import { publishLines, type Totals } from '../publish/publish-lines.js'
import { ResumeFile, type Progress } from '../publish/resume-file.js'
import { parseTagTemplates } from '../publish/tag-template.js'
import { paint, write } from '../terminal.js'
import { formatCount, formatTime } from '../units.js'
import { UsageError } from '../usage-error.js'

export const publish: Command = {
  name: 'publish',
  summary: 'Publish one event, or those of an NDJSON file or stdin',
  usage: '[FLAGS] [-t TAG …] PAYLOAD | [FLAGS] -f FILE | [FLAGS] < FILE',
  details: [
    'PAYLOAD is JSON, or - for lines from stdin. In a file each line is the payload of an event, or with --envelope {"tags":[…],"payload":…}.',
    '--tags-from takes field names (carrier,plane.type give carrier:AA and plane.type:737) or a template with fields',
    'in braces; fields that are missing give no tag, lists one for each element.',
    'With --resume the progress is kept in a file: the same call goes on after the last acknowledged line. Lines that',
    'were sent but not acknowledged are sent again, which is said.',
  ].join('\n'),
  examples: [
    `millrace publish -t sensor -t sensor:7 '{"celsius":22}'`,
    `millrace publish -f flights.ndjson -t flight --tags-from 'flight:{carrier}'`,
    'millrace publish -f flights.ndjson --tags-from carrier,origin --resume flights.progress',
    'tail -F app.log.ndjson | millrace publish -t log',
  ],
  options: {
    tag: { type: 'string', short: 't', multiple: true, value: 'TAG', help: 'a tag of every event; may be repeated' },
    'tags-from': { type: 'string', multiple: true, value: 'FIELDS', help: 'make tags of fields of the payload' },
    file: { type: 'string', short: 'f', value: 'FILE', help: 'NDJSON file; - for stdin' },
    envelope: { type: 'boolean', short: 'e', help: 'lines hold tags and payload' },
    resume: { type: 'string', short: 'r', value: 'FILE', help: 'keep the progress here and go on from it' },
    batch: { type: 'string', value: 'N', help: 'most events per request, by default 1000' },
    retry: { type: 'string', value: 'SECONDS', help: 'how long to try when the node does not answer, by default 30' },
    ...CONNECT_OPTIONS,
  },
  mostArguments: 1,
  run: runPublish,
}

/** Bytes read at a time. */
const READ_BYTES = 256 * 1024

async function runPublish(call: Call): Promise<number> {
  const [given] = call.args
  const isStdin = given === '-' && call.text('file') === undefined
  const payload = isStdin ? undefined : given
  const file = isStdin ? '-' : call.text('file')
  const builder = {
    tags: tagsOf(call),
    templates: call.list('tags-from').flatMap(parseTagTemplates),
    isEnvelope: call.flag('envelope'),
  }
  if (payload !== undefined) {
    if (file !== undefined) throw new UsageError('a payload and --file exclude each other')
    if (call.text('resume') !== undefined) throw new UsageError('--resume is for files and stdin')
    return publishOne(call, payload, builder)
  }
  if (file === undefined && process.stdin.isTTY)
    throw new UsageError('what? millrace publish -t TAG PAYLOAD, or -f FILE')
  return publishMany(call, file ?? '-', builder)
}

function tagsOf(call: Call): readonly string[] {
  const tags = call.list('tag')
  if (tags.includes('')) throw new UsageError('a tag cannot be empty')
  return tags
}

async function publishOne(call: Call, payload: string, builder: BuilderOptions): Promise<number> {
  const { stdout, signal } = call.terminal
  const event = makeEvent(payload, builder)
  const [published] = await withClient(call, (client) => client.publish([event], signal))
  if (published === undefined) return EXIT.failure
  const { stream, offset, timestamp } = published
  const text = call.json
    ? JSON.stringify({ code: 'OK', result: published })
    : `published event ${stream}/${String(offset)} at ${formatTime(timestamp)}`
  await write(stdout, `${text}\n`)
  return EXIT.ok
}

function makeEvent(payload: string, builder: BuilderOptions): string {
  try {
    return buildEvent(new TextEncoder().encode(payload), builder)
  } catch (error) {
    const hint = /^[\w .-]+$/.test(payload) ? `; a text stands in quotes: '"${payload}"'` : ''
    const reason = error instanceof Error ? error.message : String(error)
    throw new UsageError(`the payload is not JSON: ${reason}${hint}`, { cause: error })
  }
}

async function publishMany(call: Call, file: string, builder: BuilderOptions): Promise<number> {
  const { signal, stdout, stderr, stdin } = call.terminal
  const source = file === '-' ? 'stdin' : resolve(file)
  const resumePath = call.text('resume')
  const resume = resumePath === undefined ? undefined : new ResumeFile(resumePath)
  const from = (await resume?.read(source)) ?? { source, acknowledgedLines: 0, sentLines: 0 }
  if (from.acknowledgedLines > 0) {
    await write(stderr, `going on after line ${formatCount(from.acknowledgedLines)}\n`)
  }
  const batch = numberOf(call, 'batch', 1000, 1, 100_000)
  const retryMs = numberOf(call, 'retry', 30, 0, 86_400) * 1000
  const input = file === '-' ? stdin : await openInput(file)
  const progress = new ProgressLine(stderr)
  const totals = await withClient(call, (client, openChannel) =>
    publishLines({
      client,
      openChannel,
      input,
      builder,
      batch,
      retryMs,
      from,
      signal,
      remember: (progress: Progress) => resume?.write(progress) ?? Promise.resolve(),
      onSentAgain: (first, last) => {
        progress.clear()
        return noteSentAgain(call, first, last)
      },
      onAcknowledged: (current) => {
        progress.show(describe(current))
      },
    }).finally(() => {
      progress.clear()
    }),
  )
  if (call.json)
    await write(stdout, `${JSON.stringify({ code: 'OK', result: { ...totals, complete: !signal.aborted } })}\n`)
  else
    await write(
      stderr,
      `${describe(totals)}${signal.aborted ? `; stopped after line ${formatCount(totals.lines)}` : ''}\n`,
    )
  return signal.aborted ? EXIT.failure : EXIT.ok
}

async function openInput(file: string): Promise<AsyncIterable<Uint8Array>> {
  try {
    const handle = await open(file)
    return handle.createReadStream({ highWaterMark: READ_BYTES }) as AsyncIterable<Uint8Array>
  } catch (error) {
    throw new UnreadableInputError(`cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function numberOf(call: Call, option: string, otherwise: number, least: number, most: number): number {
  const given = call.text(option)
  if (given === undefined) return otherwise
  const value = Number(given)
  if (!/^[0-9]+$/.test(given) || value < least || value > most) {
    throw new UsageError(`--${option} takes a whole number from ${String(least)} to ${String(most)}, not '${given}'`)
  }
  return value
}

function describe({ events, seconds }: Totals): string {
  const rate = seconds > 0 ? Math.round(events / seconds) : events
  return `published ${formatCount(events)} events in ${seconds.toFixed(1)} s (${formatCount(rate)}/s)`
}

function noteSentAgain(call: Call, first: number, last: number): Promise<void> {
  const { stderr, env } = call.terminal
  const text = `lines ${String(first)} to ${String(last)} are sent again: whether they were stored is not known`
  return write(stderr, `${paint(stderr, env, 'yellow', 'note:')} ${text}\n`)
}
