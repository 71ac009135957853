import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Call, Options } from '../command.js'
import { withClient } from '../connect.js'
import { EXIT } from '../exit-codes.js'
import { ProgressLine } from '../progress-line.js'
import { paint, write } from '../terminal.js'
import { formatCount } from '../units.js'
import { UsageError } from '../usage-error.js'
import { UnreadableInputError } from './line-queue.js'
import { publishLines, type PublishLinesOptions, type Totals } from './publish-lines.js'
import { ResumeFile, type Progress } from './resume-file.js'

/** Flags of the commands that publish what stands in a file. */
export const INPUT_OPTIONS: Options = {
  resume: { type: 'string', short: 'r', value: 'FILE', help: 'keep the progress here and go on from it' },
  batch: { type: 'string', value: 'N', help: 'most events per request, by default 1000' },
  retry: { type: 'string', value: 'SECONDS', help: 'how long to try when the node does not answer, by default 30' },
}

export interface InputRequest {
  /** Path, or `-` for stdin. */
  readonly file: string
  readonly build: PublishLinesOptions['build']
  /** What was done, for the sentence at the end: `published`. */
  readonly verb: string
  /** Asked when all is published: what is not as it should be with the input. */
  readonly fault?: () => string | undefined
}

/** Bytes read at a time. */
const READ_BYTES = 256 * 1024

/** Publishes the events of a file or of stdin, with progress, and says what was done. @returns the exit code */
export async function publishInput(call: Call, { file, build, verb, fault }: InputRequest): Promise<number> {
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
      build,
      batch,
      retryMs,
      from,
      signal,
      remember: (reached: Progress) => resume?.write(reached) ?? Promise.resolve(),
      onSentAgain: (first, last) => {
        progress.clear()
        return noteSentAgain(call, first, last)
      },
      onAcknowledged: (current) => {
        progress.show(describe(verb, current))
      },
    }).finally(() => {
      progress.clear()
    }),
  )
  const problem = signal.aborted ? `stopped after line ${formatCount(totals.lines)}` : fault?.()
  const complete = problem === undefined
  if (call.json) await write(stdout, `${JSON.stringify({ code: 'OK', result: { ...totals, complete } })}\n`)
  else await write(stderr, `${describe(verb, totals)}${complete ? '' : `; ${problem}`}\n`)
  return complete ? EXIT.ok : EXIT.failure
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

function describe(verb: string, { events, seconds }: Totals): string {
  const rate = seconds > 0 ? Math.round(events / seconds) : events
  return `${verb} ${formatCount(events)} events in ${seconds.toFixed(1)} s (${formatCount(rate)}/s)`
}

function noteSentAgain(call: Call, first: number, last: number): Promise<void> {
  const { stderr, env } = call.terminal
  const text = `lines ${String(first)} to ${String(last)} are sent again: whether they were stored is not known`
  return write(stderr, `${paint(stderr, env, 'yellow', 'note:')} ${text}\n`)
}
