import { AnswerFailedError, parseAnswerLine, type Offsets } from '../client/index.js'
import type { Call } from './command.js'
import { renderEvent } from './event-text.js'
import { paint, write } from './terminal.js'

/**
 * Writes the lines of an answer as they come: raw with `-j`, else for people, with diagnostics on stderr.
 *
 * @throws AnswerFailedError after an error in the answer
 */
export async function showAnswer(
  call: Call,
  lines: AsyncIterable<string> | Iterable<string>,
): Promise<Offsets | undefined> {
  const { stdout, signal } = call.terminal
  let offsets: Offsets | undefined
  for await (const line of lines) {
    if (call.json) await write(stdout, `${line}\n`)
    offsets = (await showLine(call, line)) ?? offsets
    if (signal.aborted) break
  }
  return offsets
}

async function showLine(call: Call, line: string): Promise<Offsets | undefined> {
  const { stdout, stderr, env } = call.terminal
  const parsed = parseAnswerLine(line)
  switch (parsed.type) {
    case 'event':
    case 'antiEvent':
      if (!call.json) await write(stdout, renderEvent(line, parsed, stdout, env))
      return undefined
    case 'offsets':
      return parsed.offsets
    case 'diagnostic':
      if (parsed.severity === 'error') throw new AnswerFailedError(parsed.message)
      if (!call.json) await write(stderr, `${paint(stderr, env, 'yellow', 'warning:')} ${parsed.message}\n`)
      return undefined
    default:
      return undefined
  }
}
