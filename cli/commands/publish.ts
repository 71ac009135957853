import type { Call, Command } from '../command.js'
import { CONNECT_OPTIONS, withClient } from '../connect.js'
import { EXIT } from '../exit-codes.js'
import { buildEvent, type BuilderOptions } from '../publish/event-builder.js'
import { INPUT_OPTIONS, publishInput } from '../publish/publish-input.js'
import { parseTagTemplates } from '../publish/tag-template.js'
import { write } from '../terminal.js'
import { formatTime } from '../units.js'
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
    ...INPUT_OPTIONS,
    ...CONNECT_OPTIONS,
  },
  mostArguments: 1,
  run: runPublish,
}

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
  return publishInput(call, { file: file ?? '-', build: (line) => buildEvent(line, builder), verb: 'published' })
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
