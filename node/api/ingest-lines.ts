import { Type, type Static } from '@sinclair/typebox'
import type { Publication } from '../../core/index.js'
import type { ErrorReply } from './errors.js'
import { exactly, integer } from './reply-schemas.js'

const Run = exactly(
  {
    line: integer('Line of its first event', 1),
    events: integer('Events, one a line', 1),
    stream: Type.String({ description: 'Stream id' }),
    offset: integer('Of its first event; those of the next ones follow'),
    lamport: integer('Likewise'),
  },
  'Lines that lie behind each other in the upload and in one stream',
)

const Accepted = exactly(
  {
    type: Type.Literal('accepted'),
    fromLine: integer('The group, from here', 1),
    toLine: integer('to here', 1),
    events: integer('Events of the group that are stored; no other request lies between them', 1),
    timestamp: integer('Microseconds since 1970, of all of them'),
    runs: Type.Array(Run, { description: 'Where each went' }),
  },
  'A group of lines is stored and durable, but for those that are refused',
)

const Refused = exactly(
  {
    type: Type.Literal('refused'),
    line: integer('Which', 1),
    column: integer('In bytes', 1),
    code: Type.String(),
    message: Type.String(),
  },
  'A line that is no event; the others are not affected',
)

const Done = exactly(
  {
    type: Type.Literal('done'),
    lines: integer('Lines of the upload'),
    accepted: integer('Events stored'),
    refused: integer('Lines refused'),
  },
  'The upload is worked off',
)

const Failed = exactly(
  {
    type: Type.Literal('failed'),
    line: integer('From this line on nothing was stored', 1),
    code: Type.String(),
    message: Type.String(),
  },
  'The upload ends before its time',
)

/** One line of the answer to an upload. */
export const IngestLine = Type.Union([Accepted, Refused, Done, Failed], {
  description: 'One line of the answer to an upload',
})

/** An event of an upload. */
export const NewEventLine = Type.Object(
  { tags: Type.Array(Type.String({ minLength: 1 })), payload: Type.Unknown() },
  { description: 'One line of an upload' },
)

/** @param numbers the line of each publication */
export function acceptedLine(
  fromLine: number,
  toLine: number,
  numbers: readonly number[],
  publications: readonly Publication[],
): string {
  const timestamp = publications[0]?.timestamp ?? 0
  const runs = runsOf(numbers, publications)
  return toLineText({ type: 'accepted', fromLine, toLine, events: publications.length, timestamp, runs })
}

export function refusedLine(line: number, { code, message }: ErrorReply): string {
  // The text has a place, as in a request of one document; here the line says more.
  const [place, column] = / at line 1 column ([0-9]+)$/.exec(message) ?? []
  const text = place === undefined ? message : message.slice(0, -place.length)
  return toLineText({ type: 'refused', line, column: Number(column ?? 1), code, message: text })
}

export function doneLine(lines: number, accepted: number, refused: number): string {
  return toLineText({ type: 'done', lines, accepted, refused })
}

export function failedLine(line: number, { code, message }: ErrorReply): string {
  return toLineText({ type: 'failed', line, code, message })
}

function runsOf(numbers: readonly number[], publications: readonly Publication[]): Static<typeof Run>[] {
  const runs: Static<typeof Run>[] = []
  let run: Static<typeof Run> | undefined
  for (const [index, { stream, offset, lamport }] of publications.entries()) {
    const line = numbers[index] ?? 0
    const follows =
      run?.stream === stream &&
      run.line + run.events === line &&
      run.offset + run.events === offset &&
      run.lamport + run.events === lamport
    if (run !== undefined && follows) run.events += 1
    else runs.push((run = { line, events: 1, stream, offset, lamport }))
  }
  return runs
}

function toLineText(line: Static<typeof IngestLine>): string {
  return `${JSON.stringify(line)}\n`
}
