import type { Call } from './command.js'
import { write } from './terminal.js'
import { UsageError } from './usage-error.js'

/**
 * Whether the operator wants it: by `--yes`, or by answering on a terminal.
 *
 * @param warning what it means, in whole sentences
 * @throws UsageError when nobody can be asked
 */
export async function confirm(call: Call, warning: string): Promise<boolean> {
  if (call.flag('yes')) return true
  const { stderr, stdin } = call.terminal
  if (call.json || !stderr.isTerminal) throw new UsageError(`${warning} Repeat the command with --yes if that is meant`)
  await write(stderr, `${warning}\nType yes to go on: `)
  let answer = ''
  for await (const chunk of stdin) {
    answer += Buffer.from(chunk).toString()
    if (answer.includes('\n')) break
  }
  if (answer.trim() === 'yes') return true
  await write(stderr, 'nothing was done\n')
  return false
}
