import { AnswerFailedError, type Client } from '../../client/index.js'
import type { Call } from '../command.js'
import { EXIT } from '../exit-codes.js'
import { ProgressLine } from '../progress-line.js'
import { write } from '../terminal.js'
import { formatCount } from '../units.js'

/** What is not in an export, so that nobody finds out by missing it. */
const LEFT_OUT = 'not in it: answers to request ids, so a write that is under way must not be repeated elsewhere'

/** Writes the state to stdout, as lines of JSON. @throws AnswerFailedError when the last line is missing */
export async function exportState(call: Call, client: Client, prefix: string): Promise<number> {
  const { stdout, stderr, signal } = call.terminal
  const progress = new ProgressLine(stderr)
  let count = 0
  let last = ''
  try {
    const request = { prefix: prefix === '' ? undefined : prefix, kinds: call.text('kinds') }
    for await (const line of client.state.exportLines(request, signal)) {
      last = line
      if (line.startsWith('{"type":"diagnostic"')) break
      await write(stdout, `${line}\n`)
      progress.show(`${formatCount(count++)} lines`)
    }
  } finally {
    progress.clear()
  }
  if (!last.startsWith('{"type":"end"')) throw new AnswerFailedError(reasonOf(last))
  await write(stderr, `${LEFT_OUT}\n`)
  return EXIT.ok
}

function reasonOf(line: string): string {
  const ended = 'the answer ended too early: the export lacks its last line'
  return line.startsWith('{"type":"diagnostic"') ? (JSON.parse(line) as { message: string }).message : ended
}
