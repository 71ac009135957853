import { text } from 'node:stream/consumers'
import { checkConfigText, exampleConfig, readText, renderProblem, settingsJsonSchema } from '../../config/index.js'
import type { Call, Command } from '../command.js'
import { EXIT } from '../exit-codes.js'
import { write } from '../terminal.js'
import { unknownAction } from '../unknown-action.js'
import { UsageError } from '../usage-error.js'

export const config: Command = {
  name: 'config',
  summary: 'Check a configuration file, print its schema or an example',
  usage: 'check [FILE] | schema | example',
  details: [
    'check lists everything that is wrong with a file (- for stdin), each with line, column and the mend; exit code 78.',
    'schema prints the JSON Schema (draft-07) for editors, example a file to start from.',
  ].join('\n'),
  examples: [
    'millrace config example > millrace.yml',
    'millrace config schema > millrace.schema.json',
    'millrace config check millrace.yml',
  ],
  options: {},
  completes: { words: ['check', 'schema', 'example'], files: true },
  mostArguments: 2,
  run: runConfig,
}

async function runConfig(call: Call): Promise<number> {
  const [action, file] = call.args
  const { stdout } = call.terminal
  if (file !== undefined && action !== 'check') throw new UsageError(`unexpected argument '${file}'`)
  switch (action) {
    case 'schema':
      await write(stdout, `${JSON.stringify(settingsJsonSchema(), null, call.json ? 0 : 2)}\n`)
      return EXIT.ok
    case 'example':
      await write(stdout, call.json ? `${JSON.stringify({ code: 'OK', result: exampleConfig() })}\n` : exampleConfig())
      return EXIT.ok
    case 'check':
      return check(call, file ?? call.terminal.env['MILLRACE_CONFIG'])
    default:
      throw unknownAction(action, ['check', 'schema', 'example'])
  }
}

async function check(call: Call, file: string | undefined): Promise<number> {
  if (file === undefined || file === '') throw new UsageError('which file? millrace config check FILE')
  const { stdout, stderr, stdin } = call.terminal
  const content = file === '-' ? await text(stdin) : readText(file, file)
  const name = file === '-' ? 'stdin' : file
  const { problems, warnings, settings } = checkConfigText(content, name)
  const isValid = problems.length === 0
  if (call.json) {
    const verdict = isValid
      ? { code: 'OK', result: { warnings } }
      : { code: 'ERR_CONFIG_INVALID', message: problems[0]?.reason, problems, warnings }
    await write(stdout, `${JSON.stringify(verdict)}\n`)
    return isValid ? EXIT.ok : EXIT.config
  }
  for (const problem of problems) await write(stderr, `${renderProblem(problem)}\n`)
  for (const warning of warnings) await write(stderr, `warning: ${renderProblem(warning)}\n`)
  if (settings === undefined) {
    await write(stderr, `${count(problems.length, 'error')} in ${name}\n`)
    return EXIT.config
  }
  const size = `${count(settings.routes.length, 'route')}, ${count(settings.retention.size, 'stream')} with limits`
  await write(stdout, `${name} is fine: ${size}\n`)
  return EXIT.ok
}

function count(number: number, noun: string): string {
  return `${String(number)} ${noun}${number === 1 ? '' : 's'}`
}
